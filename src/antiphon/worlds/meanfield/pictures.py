"""Pictures of a solved game: how exploitability falls, what the policies are, where the crowd goes."""

from collections.abc import Mapping, Sequence
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


def draw_policies(path: Path, problem: PartitionProblem, policy: Players, title: str) -> None:
    """Probability of the last action over time and mean field, for each player and (major) state.

    The vertical axis is the share of the last minor state; for games of two minor states.
    """
    plt = _plt()
    order = np.argsort(np.asarray(problem.grid.points[:, -1]))
    minor, major = (np.asarray(leaf)[..., -1] for leaf in policy)
    shown = min(minor.shape[2], 4)
    panels = [(f"major, x0={z}", major[:, z]) for z in range(shown)]
    panels += [(f"minor x={x}, x0={z}", minor[:, x, z]) for x in range(minor.shape[1]) for z in range(shown)]
    rows = len(panels) // shown
    figure, grid = plt.subplots(
        rows, shown, figsize=(3 * shown, 2.2 * rows), squeeze=False, layout="constrained"
    )
    image = None
    for axes, (name, values) in zip(grid.ravel(), panels, strict=True):
        image = axes.imshow(
            values.T[order], origin="lower", aspect="auto", vmin=0, vmax=1, extent=(0, len(values), 0, 1)
        )
        axes.set(title=name, xlabel="t", ylabel="share of the last state")
    figure.colorbar(image, ax=grid, label="probability of the last action")
    figure.suptitle(title)
    _save(plt, figure, path)


def draw_paths(path: Path, rollouts: Rollouts, title: str, most: int = 8) -> None:
    """A few paths of the mean field, a panel for each state but the first, and the major player's actions."""
    plt = _plt()
    mean_field, action = np.asarray(rollouts.mean_field)[:most], np.asarray(rollouts.major_action)[:most]
    states = range(1, mean_field.shape[-1])
    figure, grid = plt.subplots(
        len(states) + 1, 1, figsize=(7, 2 + 2 * len(states)), sharex=True, layout="constrained"
    )
    for axes, state in zip(grid, states, strict=False):
        axes.plot(mean_field[:, :, state].T, alpha=0.8)
        axes.set(ylabel=f"share of state {state}", ylim=(-0.02, 1.02))
    grid[-1].plot(action.T + 0.03 * np.arange(len(action)), alpha=0.8, drawstyle="steps-post")
    grid[-1].set(ylabel="major action", xlabel="t")
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
