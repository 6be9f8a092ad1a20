"""Pictures of a solved game: how exploitability falls, what the policies are, where the crowd goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from antiphon.equilibrium import Players, Rollouts
from antiphon.equilibrium.partition import PartitionProblem

_DPI = 110


def draw_history(
    path: Path, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str
) -> None:
    """Exploitability over iterations on two logarithmic axes; iteration 0 is drawn at one half."""
    plt = _plt()
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, (iterations, gaps) in curves.items():
        axes.plot(np.maximum(iterations, 0.5), np.maximum(gaps, 1e-16), label=name)
    axes.set(xscale="log", yscale="log", xlabel="iteration", ylabel="exploitability", title=title)
    axes.grid(alpha=0.3)
    if any(curves):
        axes.legend(frameon=False)
    _save(plt, figure, path)


@dataclass(frozen=True)
class Words:
    """What the numbers of a major–minor game mean, for the labels of pictures.

    Attributes:
        share: of whom the vertical axis tells: the last minor state.
        minor: what a minor player does by its last action.
        major: what the major player does by its last action.
        states: minor states.
        major_states: states of the major player.
    """

    share: str
    minor: str
    major: str
    states: tuple[str, ...]
    major_states: tuple[str, ...]


def draw_policies(
    path: Path, problem: PartitionProblem, policy: Players, title: str, words: Words | None = None
) -> None:
    """Probability of the last action over time and mean field, for each player and (major) state.

    The vertical axis is the share of the last minor state; for games of two minor states. Of many major
    states four are shown.
    """
    plt = _plt()
    order = np.argsort(np.asarray(problem.grid.points[:, -1]))
    minor, major = (np.asarray(leaf)[..., -1] for leaf in policy)
    many, of_major = minor.shape[1], minor.shape[2]
    words = words or Words(
        f"share of state {many - 1}", "minor player's last action", "major player's last action",
        tuple(f"state {x}" for x in range(many)), tuple(f"major state {z}" for z in range(of_major)),
    )  # fmt: skip
    shown = np.unique(np.linspace(0, of_major - 1, min(of_major, 4)).astype(int))
    rows = [(words.major, major)] + [
        (f"{words.minor}\n({words.states[x]})", minor[:, x]) for x in range(many)
    ]
    size = (2.6 * len(shown) + 1.4, 1.9 * len(rows) + 0.6)
    figure, grid = plt.subplots(
        len(rows), len(shown), figsize=size, squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    image = None
    for line, (who, table) in zip(grid, rows, strict=True):
        for axes, z in zip(line, shown, strict=True):
            values = table[:, z]
            image = axes.imshow(
                values.T[order], origin="lower", aspect="auto", vmin=0, vmax=1, extent=(0, len(values), 0, 1),
                interpolation="nearest",
            )  # fmt: skip
        line[0].set_ylabel(f"{who}\n{words.share}", fontsize=8)
    for axes, z in zip(grid[0], shown, strict=True):
        axes.set_title(words.major_states[z], fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("t")
    figure.colorbar(image, ax=grid, label="probability", aspect=40)
    figure.suptitle(title)
    _save(plt, figure, path)


def draw_paths(path: Path, rollouts: Rollouts, title: str, most: int = 8, words: Words | None = None) -> None:
    """A few paths of the mean field, a panel for each state but the first; below, what the major player does.

    Each row of the lowest panel is one path; colours are actions.
    """
    plt = _plt()
    mean_field, action = np.asarray(rollouts.mean_field)[:most], np.asarray(rollouts.major_action)[:most]
    states = range(1, mean_field.shape[-1])
    figure, grid = plt.subplots(
        len(states) + 1, 1, figsize=(7, 2 + 2 * len(states)), sharex=True, layout="constrained"
    )
    for axes, state in zip(grid, states, strict=False):
        axes.plot(mean_field[:, :, state].T, alpha=0.8, linewidth=1.2)
        last = words is not None and state == states[-1]
        axes.set(ylabel=words.share if words and last else f"share of state {state}", ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
    kinds = int(action.max(initial=1)) + 1
    colours = plt.get_cmap("Blues", kinds)
    image = grid[-1].imshow(
        action, aspect="auto", cmap=colours, vmin=-0.5, vmax=kinds - 0.5, interpolation="nearest",
        extent=(0, action.shape[1], len(action) + 0.5, 0.5),
    )  # fmt: skip
    grid[-1].set(ylabel="path", xlabel="t")
    figure.colorbar(image, ax=grid[-1], ticks=range(kinds), label="major action")
    figure.suptitle(title)
    _save(plt, figure, path)


def draw_flow(path: Path, mean_field: Float[Array, "T S"], title: str) -> None:
    """Where the crowd of a plain game is, over time."""
    plt = _plt()
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    image = axes.imshow(np.asarray(mean_field).T, origin="lower", aspect="auto")
    axes.set(xlabel="t", ylabel="state", title=title)
    figure.colorbar(image, ax=axes, label="share of the crowd")
    _save(plt, figure, path)


def _plt() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(plt: Any, figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
