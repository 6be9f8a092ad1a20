"""A training from beginning to end: the rows, the model, the method, the run, the folder that comes out."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from antiphon.core import trees
from antiphon.core.errors import UserError
from antiphon.core.files import file_sha256
from antiphon.nets.lora_files import save_adapter
from antiphon.studies.text_training.job import Fixed, Job, Plan, Say
from antiphon.studies.text_training.plans import METHODS
from antiphon.studies.text_training.preparing import make_job, say_rows, start_model
from antiphon.studies.text_training.settings import SETTINGS, TextTraining
from antiphon.studies.text_training.speed import forward_work, matmul_rate, peak_memory
from antiphon.studies.text_training.watching import Samples, Watch
from antiphon.train.checkpoint import CheckpointFolder
from antiphon.train.errors import Interrupted, NotFinite, RunError
from antiphon.train.fit import fit
from antiphon.train.hooks import FitInfo, Hook, every
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.examples import rows_of_step
from antiphon.worlds.text.records import BadRow, Records, read_records

_CHUNK_WORK = 1e11  # operations between two visits to the host: about a second on two cores
_LONGEST_CHUNK = 20


@dataclass(frozen=True)
class Config:
    """What a run is made with, and must be resumed with.

    Attributes:
        method: name.
        training: shared settings.
        settings: the method's own.
        data_sha256: of the data.
    """

    method: str
    training: TextTraining
    settings: Any
    data_sha256: str = ""


@dataclass(frozen=True)
class Trained:
    """What came out.

    Attributes:
        path: Hugging Face folder, or PEFT folder with an adapter.
        run: run directory.
        steps: done.
        rows: that were read.
        bad: rows that could not be used.
        tokens_per_second: read or written, compilation left out.
        matmul_share: of the machine's matrix rate; None where nobody counted the work.
        peak_memory: bytes.
        metrics: means over the last chunk.
        stopped: the sentence that says why it ended early, if it did.
    """

    path: Path
    run: Path
    steps: int
    rows: int
    bad: tuple[BadRow, ...]
    tokens_per_second: float
    matmul_share: float | None
    peak_memory: int
    metrics: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None


def train_text(
    method: str,
    training: TextTraining,
    settings: Any = None,
    *,
    out: Path,
    resume: Path | None = None,
    say: Say = lambda line: None,
) -> Trained:
    """Train, keeping checkpoints in ``out/runs``, and write the model to ``out``.

    Args:
        method: a name in ``SETTINGS``.
        training: shared settings.
        settings: the method's own; its defaults if not given.
        out: folder of the model.
        resume: a run directory to go on with, made with the same settings.
        say: told in a sentence each what a person should know.

    Raises:
        UserError: data, model, judge or settings that cannot be used.
        RunError: the disk refused, or a metric is not finite; the last good weights are then in ``out``.
    """
    kind, training = METHODS[method], training.checked()
    settings = SETTINGS[method]() if settings is None else settings
    if training.data is None:
        raise UserError("usage", "no --data is given", "add a JSONL file, such as --data pairs.jsonl")
    records = read_records(training.data, kind.wanted(settings))
    config = Config(method, training, settings, file_sha256(training.data))
    if resume is None:
        prepare(out)
        run = RunDirectory.create(f"text-{method}", config, seed=training.seed, root=out / "runs")
    else:
        run = RunDirectory.resume(resume, config, say=say)
    try:
        model = start_model(training, records, run.path / "start")
        job = make_job(kind, training, settings, model, records, run, say)
        say_rows(records, job)
        plan = kind.plan(job, settings)
    except UserError:
        # Nothing was trained: an empty run would only stand in the way of a later --resume.
        if resume is None:
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    return _train(method, plan, job, records, out)


def newest_run(out: Path, method: str) -> Path:
    """The newest run in the folder of a model that got as far as a checkpoint, or the folder itself if a run.

    Raises:
        UserError: there is none.
    """
    if (out / "metrics.jsonl").is_file() or (out / "environment.json").is_file():
        return out
    found = (out / "runs" / f"text-{method}").glob("*-s*")
    runs = sorted(path for path in found if next((path / "checkpoints").glob("*/*.json"), None) is not None)
    if not runs:
        raise UserError(
            "file", f"{out} holds no run of {method} to resume", "give the folder that --out made"
        )
    return runs[-1]


def prepare(out: Path) -> None:
    """Before minutes are spent.

    Raises:
        UserError: the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError("file", f"{out} cannot be made ({reason})", "choose another folder") from error


def export(plan: Plan, job: Job, params: Any, out: Path) -> None:
    """The model as a folder that ``text generate`` and other libraries load.

    Raises:
        OSError: the disk refused.
    """
    if plan.export is not None:
        plan.export(params, out)
    elif job.decoder.lora is not None:
        save_adapter(out, job.decoder.lora, params, base=job.training.model)
        job.model.tokenizer.save(out)
    else:
        replace(job.model, params=params).export(out)


def _train(method: str, plan: Plan, job: Job, records: Records, out: Path) -> Trained:
    training, examples, run = job.training, job.examples, job.run
    rows = rows_of_step(len(examples), training.batch, training.seed)
    widths = examples.prompts.tokens.shape[1], job.decoder.decoding.new_tokens
    forward = training.batch * forward_work(job.model.config, *widths)
    rate = matmul_rate() if plan.passes else 0.0
    watch = Watch(method, plan.show, _token_counter(plan, job, rows), plan.passes * forward, rate)
    hooks: list[Hook] = [_stop_at_bad_weights, watch]
    sample_every = max(training.steps // 4, 1) if training.sample_every is None else training.sample_every
    if sample_every and plan.samples:
        samples = Samples(job, watch, run.media / "samples.jsonl")
        hooks.append(every(sample_every, samples))
    save_every = training.save_every or max(training.steps // 10, 1)
    # Three visits at least, for the first holds the compilation and tells no pace.
    most = max(min(_LONGEST_CHUNK, training.steps // 3, save_every), 1)
    chunk = int(np.clip(_CHUNK_WORK / ((plan.passes or 4) * forward), 1, most))
    job.say(
        f"{method}: {job.model.name}, {trees.count(plan.state.params):,} weights learn, {len(examples)} rows "
        f"of {widths[0]} + {widths[1]} tokens ({examples.padding:.0%} padding), learning rate {job.rate:.2g}"
    )

    def step(state: Any, batch: Any, key: Any, fixed: Fixed) -> tuple[Any, Any]:
        return plan.method(fixed).step(state, batch, key)

    stopped = None
    try:
        state = fit(
            step, plan.state, steps=training.steps, key=jax.random.key(training.seed),
            fixed={**job.fixed, **plan.fixed},
            batches=lambda step: plan.batch(rows(step)), chunk=chunk, run=run, name=method, hooks=hooks,
            checkpoint_every=max(save_every // chunk, 1), progress="quiet",
        )  # fmt: skip
        done = training.steps
    except Interrupted as interrupted:
        state, done = interrupted.state, interrupted.step
        stopped = f"the training was stopped after step {done} of {training.steps}, and all of it is saved"
    except NotFinite as broken:
        watch.close()
        kept = _keep_last_good(plan, job, method, out)
        if plan.judge is not None and plan.judge.trouble:
            raise plan.judge.trouble[0] from broken
        lines = ", ".join(str(line) for line in examples.lines[rows(broken.step - 1)])
        raise RunError(
            f"{broken.message}; the batch of step {broken.step} was lines {lines} of {records.path}{kept}",
            "lower --learning-rate, or mend the data",
        ) from broken
    watch.close()
    export(plan, job, state.params, out)
    pace = watch.pace
    return Trained(
        path=out, run=run.path, steps=done, rows=len(examples), bad=(*records.bad, *examples.bad),
        tokens_per_second=pace.tokens_per_second,
        matmul_share=pace.matmul_share(plan.passes * forward, rate) if rate else None,
        peak_memory=peak_memory(), metrics=watch.metrics, stopped=stopped,
    )  # fmt: skip


def _stop_at_bad_weights(info: FitInfo) -> None:
    """Before a checkpoint: a step may have a finite loss and leave weights that are not."""
    if not bool(_all_finite(info.state.params)):
        raise NotFinite(
            f"The weights are not finite after step {info.step} of fit {info.name!r}",
            "lower the learning rate",
            metric="weights",
            step=info.step,
        )


@jax.jit
def _all_finite(params: Any) -> Any:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))


def _keep_last_good(plan: Plan, job: Job, method: str, out: Path) -> str:
    """Writes the model of the last good checkpoint, and says so."""
    found = CheckpointFolder(job.run.checkpoints / method).latest_good(plan.state)
    if found is None:
        return ""
    export(plan, job, found.state.params, out)
    return f", and {out} holds the weights of step {found.step}"


def _token_counter(plan: Plan, job: Job, rows: Callable[[int], np.ndarray]) -> Callable[[FitInfo], float]:
    """Tokens of a chunk: those of its rows where they are read, those of the completions where it writes."""
    examples = job.examples
    of_row = np.asarray(examples.prompts.length, np.float64)
    for part in (examples.answers, examples.rejected):
        if part is not None:
            of_row = of_row + part.mask.sum(1)

    def count(info: FitInfo) -> float:
        if plan.written:
            length = info.metrics.get("length")
            return 0.0 if length is None else float(np.sum(length)) * job.training.batch * plan.written
        return sum(float(of_row[rows(step)].sum()) for step in range(info.previous_step, info.step))

    return count
