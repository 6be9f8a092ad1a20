"""Sizes of the study."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """``laptop`` takes about ten minutes on two idle cores, half of them training."""

    seeds: int = 3
    """Trainings of our policy."""
    seconds: float = 75.0
    """Of each, compilation and evaluations left out."""
    drift_seconds: float = 45.0
    """Of a training with the authors' observation and reward; 0 leaves it out."""
    robust_seconds: float = 75.0
    """Of a training under disturbances, where no bundled policy was trained so; 0 leaves it out."""
    watch: float = 3.0
    """Seconds of training between two points of the curves."""
    episodes: int = 1024
    """With which each seed is judged."""
    matrix_episodes: int = 128
    """Of each condition of the matrix."""
    pattern_episodes: int = 32
    """Of each pattern of dead valves."""
    mpc_episodes: int = 16
    """The same for mpc, which is slow, and a quarter of it of each pattern; 0 leaves it out."""
    rivals: tuple[str, ...] = ("lqr", "lqr-saving", "lqr-observer", "lqr-round")
    """Controllers in the matrix beside mpc."""
    mujoco_episodes: int = 256
    """In MuJoCo."""
    tracks: int = 16
    """Flights along each path."""
    spatial_episodes: int = 256
    """Of the platform in space."""
    many: int = 16384
    """Environments side by side in the test of scale."""
    robot_seconds: float = 40.0
    """Of the flight behind the robot's controller."""
    seed: int = 0
    """Of everything that is drawn; seeds of trainings count up from it."""

    @property
    def learns(self) -> bool:
        """Whether trainings are long enough to say anything; otherwise the bundled policy stands for ours."""
        return self.seconds >= 30.0


PRESETS = {
    "smoke": Config(
        seeds=1,
        seconds=4.0,
        drift_seconds=0.0,
        robust_seconds=0.0,
        watch=2.0,
        episodes=32,
        matrix_episodes=8,
        pattern_episodes=2,
        mpc_episodes=0,
        rivals=("lqr-saving",),
        mujoco_episodes=4,
        tracks=2,
        spatial_episodes=16,
        many=2048,
        robot_seconds=30.0,
    ),
    "laptop": Config(),
    "gpu": Config(
        seeds=10,
        seconds=60.0,
        episodes=4096,
        matrix_episodes=1024,
        pattern_episodes=256,
        mpc_episodes=128,
        many=262_144,
    ),
}
