"""Sizes of the study."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """``laptop`` has the sizes of the paper, but Buffet's grid is smaller."""

    cells: int = 120
    """M for SIS and Advertisement."""
    buffet_cells: int = 50
    """M for Buffet, whose 25 major states make it forty times as large."""
    iterations: int = 1000
    """Of fictitious play."""
    buffet_iterations: int = 200
    """Likewise for Buffet."""
    fixed_point_iterations: int = 100
    """Of fixed point iteration."""
    sweep: tuple[int, ...] = (10, 20, 50, 80, 120, 200)
    """Grids on which SIS and Advertisement are solved again."""
    buffet_sweep: tuple[int, ...] = (5, 10, 20, 40)
    """Likewise for Buffet; none to leave it out."""
    sweep_iterations: int = 200
    """Of fictitious play, for each grid of SIS and Advertisement."""
    buffet_sweep_iterations: int = 50
    """Likewise for Buffet."""
    players: tuple[int, ...] = (2, 5, 10, 20, 50, 100, 200)
    """N of the finite games, as in the paper."""
    large: tuple[int, ...] = (50, 100, 200, 500, 1000)
    """N of a second fit of the distance from the mean field."""
    paths: int = 4000
    """Roll-outs for each true value, and games for the slope."""
    among: tuple[str, ...] = ("SIS", "Buffet", "Advertisement")
    """Problems whose solutions are played with N players."""
    solution_paths: int = 1000
    """Games of N players with each problem's solution."""
    seed: int = 0
    """Of the roll-outs."""


PRESETS = {
    "smoke": Config(
        cells=12, buffet_cells=5, iterations=20, buffet_iterations=5, fixed_point_iterations=10,
        sweep=(8, 16), buffet_sweep=(), sweep_iterations=5, buffet_sweep_iterations=3,
        players=(4, 16, 64), large=(16, 64, 128), paths=400, among=("SIS",),
        solution_paths=40,
    ),
    "laptop": Config(),
    "gpu": Config(
        buffet_cells=120, buffet_iterations=1000, sweep_iterations=1000, buffet_sweep=(5, 10, 20, 40, 80),
        paths=20_000,
    ),
}  # fmt: skip
