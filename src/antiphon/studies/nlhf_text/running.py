"""The study from beginning to end; every training is done once, and a resumed run reads what it came to."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from antiphon.feedback.pairs import Pairs
from antiphon.feedback.raters import Raters
from antiphon.studies.nlhf_steering import RLHF
from antiphon.studies.nlhf_text import arena, judges, policies
from antiphon.studies.nlhf_text.cell import REFERENCE, TRAINED, Cell
from antiphon.studies.nlhf_text.findings import findings_of
from antiphon.studies.nlhf_text.judges import Verdict
from antiphon.studies.nlhf_text.policies import Trained
from antiphon.studies.nlhf_text.reference import (
    Ground,
    imitate,
    measured,
    population,
    prompts_of,
    scale_of,
    write,
)
from antiphon.studies.nlhf_text.setting import Config, judge_of, policy_of
from antiphon.studies.nlhf_text.showing import media_of
from antiphon.train.findings import Finding
from antiphon.train.media import write_media
from antiphon.train.pieces import done_once
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.text.reports import draw_reports


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures the claims."""
    ground = _ground(config, run)
    cells = {dial: _cell(config, run, ground, dial) for dial in config.dials}
    write_media(run.path, media_of(config, ground, cells))
    return findings_of(config, ground, cells)


def _ground(config: Config, run: RunDirectory) -> Ground:
    policy = policy_of(config)
    reports, tests = (
        draw_reports(2 * config.seed + i, n) for i, n in enumerate((config.reports, config.tests))
    )
    like = jax.eval_shape(policy.config.init, jax.random.key(0))

    def made() -> dict[str, np.ndarray]:
        params, losses = imitate(config, policy, reports)
        say(f"reference: {losses[-20:].mean():.3f} nats a word")
        return {"losses": losses, **_named(params)}

    params = _unnamed(done_once(run, "reference", made), like)
    seen, asked = prompts_of(reports), prompts_of(tests)
    some = jax.tree.map(lambda leaf: leaf[:2000], seen)
    keys = jax.random.split(jax.random.key(config.seed + 7))
    pairs = [measured(policy, params, some, write(policy, params, key, some)) for key in keys]
    return Ground(policy, params, seen, asked, scale_of(*pairs))


def _cell(config: Config, run: RunDirectory, ground: Ground, dial: float) -> Cell:
    say(f"dial {dial:g}")
    voting = population(config, ground.scale, dial, held_out=False)
    held_out = population(config, ground.scale, dial, held_out=True)
    key_pairs, key_judges, key_shape, key_show, key_test = jax.random.split(
        jax.random.key(config.seed + 3), 5
    )
    circles, misfit = arena.shape_of(ground, voting, key_shape)
    say(f"circles {circles.estimate:.3f}, misfit {misfit.estimate:.4f} nats")
    judge = judge_of(config)
    fitting = judges.methods_of(config, judge)
    start = judge.init(jax.random.key(0), ground.reference)
    like = jax.eval_shape(lambda: start)
    pairs = judges.draw_pairs(ground, voting, config.pairs, key_pairs)
    fitted = {
        kind: _unnamed(
            done_once(
                run, f"{kind} model, dial {dial:g}",
                lambda m=method: _named(judges.fit_judge(config, m, start, pairs, key_judges)),
            ), like,
        )
        for kind, method in fitting.items()
    }  # fmt: skip
    trained = _policies(config, run, ground, judge, fitted, dial)
    shown = arena.exhibit(
        ground, {REFERENCE: ground.reference} | {name: t.params for name, t in trained.items()}, key_show
    )
    compared = {REFERENCE: judges.write_pairs(ground, ground.reference, ground.reference, key_test)}
    others = [name for name in trained if name.startswith("Nash-MD") or name == "self-play"]
    last = trained[others[-1]].params if others else trained[RLHF].params
    compared[TRAINED] = judges.write_pairs(ground, trained[RLHF].params, last, key_test)
    verdicts, ceiling = _verdicts(ground, voting, fitting, fitted, compared)
    cell = Cell(dial, trained, shown, held_out, circles, misfit, verdicts, ceiling, {})
    beaten = {
        name: done_once(
            run, f"exploited {name}, dial {dial:g}",
            lambda n=name, t=t: {"rates": arena.exploited(ground, held_out, shown, n, t.kl)},
        )["rates"]
        for name, t in cell.matched.items()
    }  # fmt: skip
    return cell._replace(exploited=beaten)


def _policies(
    config: Config, run: RunDirectory, ground: Ground, judge: Any, fitted: Mapping[str, Any], dial: float
) -> dict[str, Trained]:
    like = jax.eval_shape(lambda: ground.reference)
    found: dict[str, Trained] = {}

    def once(name: str, make: Any) -> None:
        def kept() -> dict[str, np.ndarray]:
            one = make()
            say(f"{name}: {one.kl:.3f} nats at pull {one.tau:.4f}")
            return {"kl": np.asarray(one.kl), "tau": np.asarray(one.tau), **_named(one.params)}

        back = done_once(run, f"{name}, dial {dial:g}", kept)
        found[name] = Trained(_unnamed(back, like), float(back["kl"]), float(back["tau"]))

    methods = policies.methods_of(config, ground, judge)
    for i, (name, method) in enumerate(methods.items()):
        which = fitted["reward" if name == RLHF else "preference"]
        key = jax.random.fold_in(jax.random.key(config.seed + 11), i)
        once(name, lambda m=method, w=which, k=key: policies.train_at(config, ground, m, w, k, config.kl))
    for i, pull in enumerate(config.pulls):
        key, tau = jax.random.fold_in(jax.random.key(config.seed + 12), i), pull * found[RLHF].tau
        once(
            f"{RLHF} ×{pull:g}",
            lambda t=tau, k=key: policies.train_with(config, ground, methods[RLHF], fitted["reward"], k, t),
        )
    return found


def _verdicts(
    ground: Ground, voting: Raters, fitting: Mapping[str, Any], fitted: Mapping[str, Any],
    compared: Mapping[str, Pairs],
) -> tuple[dict[str, dict[str, Verdict]], dict[str, float]]:  # fmt: skip
    shares = {
        whose: ground.preference(
            voting, ground.signals(pairs.context, pairs.first), ground.signals(pairs.context, pairs.second)
        )
        for whose, pairs in compared.items()
    }
    verdicts = {
        kind: {
            whose: judges.verdict(method, fitted[kind], pairs, shares[whose])
            for whose, pairs in compared.items()
        }
        for kind, method in fitting.items()
    }
    return verdicts, {whose: float(judges.best_right(share).mean()) for whose, share in shares.items()}


def _named(tree: PyTree) -> dict[str, np.ndarray]:
    """Leaves by number, for a file."""
    return {f"leaf-{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def _unnamed(kept: Mapping[str, np.ndarray], like: PyTree) -> PyTree:
    count = len(jax.tree.leaves(like))
    return jax.tree.unflatten(
        jax.tree.structure(like), [jnp.asarray(kept[f"leaf-{i}"]) for i in range(count)]
    )
