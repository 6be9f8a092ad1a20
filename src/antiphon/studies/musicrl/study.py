"""The study: live arms, the bundled model against the base, judges, findings."""

from dataclasses import dataclass, field

from jaxtyping import PyTree

from antiphon.core.errors import UserError
from antiphon.nets.weights import save_tree
from antiphon.studies.musicrl import pictures
from antiphon.studies.musicrl.arms import ARMS, ArmConfig, train_arm
from antiphon.studies.musicrl.findings import comparison, live_findings, single_reward
from antiphon.studies.musicrl.judge import Performance, Trial, best_of, figures_of, listen, perform
from antiphon.train.files import disk_errors
from antiphon.train.findings import Finding
from antiphon.train.metrics import read_metrics
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.music.bundle import DEFAULT, Bundle
from antiphon.worlds.music.judging import REFERENCE, Reference, need_judges
from antiphon.worlds.music.prompts import draw_prompts


@dataclass(frozen=True)
class Config:
    """What a run does.

    Attributes:
      arms: fine-tuned live from the bundled base: text, quality, r (both).
      arm: hyper-parameters of each arm.
      judged: held-out captions on which live arms are compared with the base.
      judged_bundle: held-out captions on which the bundled r is compared with the base.
      best_of: largest N of best-of-N sampling from the base.
      best_of_captions: captions for it.
      guidance: classifier-free guidance shown beside the arms.
      notes: also transcribe clips (scale, mode, polyphony), the slowest judge.
      pairs: before and after clips in the report.
      bundle: folder of models; empty for the installed ones.
      seed: of everything.

    Raises:
      UserError: an arm is not known, none is named, or a number is too small to measure anything.
    """

    arms: tuple[str, ...] = ("r",)
    arm: ArmConfig = field(default_factory=ArmConfig)
    judged: int = 256
    judged_bundle: int = 256
    best_of: int = 8
    best_of_captions: int = 96
    guidance: float = 1.75
    notes: bool = True
    pairs: int = 8
    bundle: str = ""
    seed: int = 0

    def __post_init__(self):
        """Refuse what would only fail after hours of training."""
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            said = f"there is no arm {unknown[0]!r}" if unknown else "no arm is named"
            raise UserError("config", said, f"choose among {', '.join(ARMS)}")
        least = {"judged": 2, "judged_bundle": 2, "best_of": 1, "best_of_captions": 2, "pairs": 0, "seed": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise UserError("config", f"{name} is {getattr(self, name)}", f"give at least {smallest}")


PRESETS = {
    "smoke": Config(
        arm=ArmConfig(steps=8), judged=32, judged_bundle=64, best_of=2, best_of_captions=16, notes=False
    ),
    "laptop": Config(arms=("r", "text", "quality")),
    "gpu": Config(
        arms=("r", "text", "quality"),
        arm=ArmConfig(steps=2000, prompts=64, group=8, microbatch=256),
        judged=1024,
        judged_bundle=1024,
        best_of=16,
        best_of_captions=256,
    ),
}


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Carry out the study; returns its findings and leaves pictures and clips in the run directory.

    A second call on the same directory goes on with an interrupted arm, loads finished ones and judges again.

    Raises:
      UserError: the models are missing or damaged, or a judge is not installed; said before anything is
        trained.
      RunError: the disk refused.
    """
    bundle = Bundle.load(config.bundle or DEFAULT)
    path = bundle.folder / REFERENCE
    reference = Reference.load(path) if path.exists() else None
    if reference is not None:
        need_judges(notes=config.notes)
    bundled = bundle.named_policy("r") if "r" in bundle.policies else None
    trained = {}
    for arm in config.arms:
        say(f"Arm {arm}: {config.arm.steps} updates from the bundled base.")
        trained[arm] = train_arm(bundle, config.arm, arm, config.seed, run)
        _save(run, arm, trained[arm], {})

    trial = _trial(config, bundle, bundled, trained, reference)
    for arm, policy in trained.items():
        _save(run, arm, policy, figures_of(trial.played[f"live {arm}"], trial.played["base"]))
    curves = {name: bundle.made(name).get("curve") for name in bundle.policies}
    pictures.write(run, trial, config.pairs, {name: curve for name, curve in curves.items() if curve})
    shown = "r" if "r" in config.arms else config.arms[0]
    records = [record for record in read_metrics(run.metrics) if record.fit == f"arm-{shown}"]
    return [
        *live_findings(records, shown, config.arm.prompts * config.arm.group),
        *comparison(trial, notes=config.notes),
        *(single_reward(trial.played, arm, config.arm.steps) for arm in ("text", "quality")),
    ]


def _trial(
    config: Config,
    bundle: Bundle,
    bundled: PyTree | None,
    trained: dict[str, PyTree],
    reference: Reference | None,
) -> Trial:
    """Let every model play held-out captions, and judges listen."""
    say("Playing held-out captions with every model.")
    prompts = draw_prompts([config.seed, 41], max(config.judged, config.judged_bundle), held_out=True)
    few = prompts.first(config.judged)
    played: dict[str, Performance] = {"base": perform(bundle, bundle.policy, prompts, config.seed)}
    if bundled is not None:
        played["bundled r"] = perform(bundle, bundled, prompts, config.seed)
    for arm, policy in trained.items():
        played[f"live {arm}"] = perform(bundle, policy, few, config.seed)
    played["base, guided"] = perform(bundle, bundle.policy, few, config.seed, guidance=config.guidance)
    some = prompts.first(config.best_of_captions)
    chosen = best_of(bundle, bundle.policy, some, config.seed, config.best_of)
    heard = {}
    if reference is not None:
        say("Judges that nobody here trained are listening.")
        heard = {name: listen(one, prompts, reference, config.notes) for name, one in played.items()}
    main = "bundled r" if bundled is not None else f"live {'r' if 'r' in trained else config.arms[0]}"
    return Trial(main, prompts, played, chosen, reference, heard)


def _save(run: RunDirectory, arm: str, policy: PyTree, figures: dict[str, object]) -> None:
    """Keep an arm's policy for ``antiphon music adopt``, and in the file's header what is known of it."""
    path = run.path / f"policy-{arm}.safetensors"
    with disk_errors(path):
        save_tree(path, policy, storage_dtype="float16", metadata={"arm": arm, "figures": figures})
