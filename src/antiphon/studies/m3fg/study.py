"""The run: solve, measure, go back to the game, and draw."""

import importlib.util
from collections.abc import Mapping

import jax

from antiphon.equilibrium import Solution
from antiphon.studies.m3fg import crowds, curves, grids
from antiphon.studies.m3fg.config import PRESETS as PRESETS
from antiphon.studies.m3fg.config import Config as Config
from antiphon.studies.m3fg.problems import PROBLEMS, WORDS, cells_of, problem_of, roll_out, solutions
from antiphon.train.findings import Finding
from antiphon.train.media import Image, Media, write_media
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.meanfield import pictures

_STORY = (
    "A major player and a crowd answer each other. Exploitability says what either could still gain. "
    "The paper projects mean fields to the nearest of M points; every value on such a grid stands here "
    "beside what the policy really earns when the mean field is left continuous, and when the crowd has "
    "N players."
)


def run(config: Config, run: RunDirectory) -> list[Finding]:
    """Measures all claims in float64 and leaves curves, tables and pictures."""
    with jax.enable_x64(True):
        return _run(config, run)


def _run(config: Config, run: RunDirectory) -> list[Finding]:
    played, iterated = solutions(config, "FP"), solutions(config, "FPI")
    findings = [curves.authors(), *curves.falls_and_beats(config, played, iterated)]
    refines, over_grids = grids.sweep(config)
    barycentric, fixed = grids.fixed_policies(config)
    finite, distance = crowds.slopes(config)
    among = crowds.solutions_with_players(config, played)
    falls = [curves.history_figure(name, played[name], iterated[name]) for name in PROBLEMS]
    figures = (*falls, *over_grids, distance, *among)
    tables = (curves.last_table(played), fixed)
    write_media(run.path, Media(_STORY, figures, tables=tables, images=_images(config, run, played)))
    return [*findings, refines, barycentric, *finite]


def _images(config: Config, run: RunDirectory, played: Mapping[str, Solution]) -> tuple[Image, ...]:
    if importlib.util.find_spec("matplotlib") is None:
        say("pictures are left out: matplotlib is not installed (pip install 'antiphon[report]')")
        return ()
    images = []
    for name, solution in played.items():
        problem = problem_of(name, cells_of(name, config))
        stem = run.media / name.lower()
        pictures.draw_policies(
            stem.with_suffix(".policies.png"), problem, solution.policy, f"{name}: policies", WORDS[name]
        )
        paths = roll_out(problem, solution.policy, jax.random.key(config.seed), paths=8)
        pictures.draw_paths(stem.with_suffix(".paths.png"), paths, f"{name}: eight paths", words=WORDS[name])
        for kind in ("policies", "paths"):
            images.append(Image(f"{name}: {kind}", f"media/{name.lower()}.{kind}.png"))
    return tuple(images)
