"""The same policies elsewhere: in MuJoCo, along curves, in space, in a browser, on the robot's terms."""

import importlib.util
import math

import numpy as np

from antiphon.core.statistics import bootstrap
from antiphon.studies.platform import claims
from antiphon.studies.platform.config import Config
from antiphon.studies.platform.robot_loop import fly_robot
from antiphon.studies.platform.trainings import TASK
from antiphon.train.findings import Claim, Finding
from antiphon.train.media import Figure, Series, Table
from antiphon.train.progress import say
from antiphon.train.run_directory import RunDirectory
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.parameters import planar
from antiphon.worlds.platform.pilots import find_pilot
from antiphon.worlds.platform.policy_file import PlatformPolicy
from antiphon.worlds.platform.policy_search import bundled_spatial_policies, find_policy
from antiphon.worlds.platform.protocol import Motions, Protocol, fly, pilot_of
from antiphon.worlds.platform.tasks import SPATIAL_TASKS, find_task
from antiphon.worlds.platform.trajectories import PATHS, Tracked, find_path, track
from antiphon.worlds.platform.viewer.page import viewer_page

_LEAST_WORDS = ("http://", "https://")


def mujoco(config: Config, policy: PlatformPolicy) -> list[Finding]:
    """The policy unchanged under MuJoCo's physics, and both simulators open loop."""
    if importlib.util.find_spec("mujoco") is None:
        reason = "MuJoCo is not installed (pip install 'antiphon[control]')"
        return [claims.MUJOCO.untested(reason), claims.OPEN_LOOP.untested(reason)]
    from antiphon.worlds.platform.mujoco_flight import fly_in_mujoco, open_loop_gap

    say(f"MuJoCo: {config.mujoco_episodes} episodes")
    world = PlatformEnvironment(task=find_task(TASK), observation=policy.metadata.observation)
    pilot = pilot_of(policy, world)
    protocol = Protocol(envs=config.mujoco_episodes, seed=config.seed)
    ours, theirs = _times(fly(world, pilot, protocol)), _times(fly_in_mujoco(world, pilot, protocol))
    points = {name: 100 * (theirs[name] - ours[name]) for name in ours}
    worst = max(points, key=lambda name: abs(points[name]))
    said = ", ".join(f"{name} {value:+.2f}" for name, value in points.items())
    rng = np.random.default_rng(config.seed)
    gap = max(float(open_loop_gap(planar(), rng.random((100, 8)) < 0.3).max()) for _ in range(4))
    return [
        claims.MUJOCO.measured(
            abs(points[worst]),
            holds=abs(points[worst]) <= 2.0,
            note=f"points, MuJoCo − ours, the same {config.mujoco_episodes} episodes: {said}",
        ),
        claims.OPEN_LOOP.measured(gap, holds=gap <= 1e-5, note="largest of four random sequences, float64"),
    ]


def _times(motions: Motions) -> dict[str, float]:
    near, turned = motions.position_error, np.degrees(motions.heading_error)
    return {f"PT{c}": float((near < c / 100).mean()) for c in (5, 2, 1)} | {
        f"OT{d}": float((turned < d).mean()) for d in (5, 2, 1)
    }


def scale(config: Config, policy: PlatformPolicy) -> Finding:
    """Many environments in one program, against the interval that few give."""
    world = PlatformEnvironment(task=find_task(TASK), observation=policy.metadata.observation)
    pilot = pilot_of(policy, world)

    def within(envs: int, seed: int) -> np.ndarray:
        return (fly(world, pilot, Protocol(envs=envs, seed=seed)).position_error < 0.05).mean(0)

    few = bootstrap(within(256, config.seed + 1), confidence=0.99)
    say(f"{config.many} platforms side by side")
    many = float(within(config.many, config.seed + 2).mean())
    return claims.SCALE.measured(
        many,
        interval=(few.low, few.high),
        holds=few.low <= many <= few.high,
        note=f"PT5 of {config.many} platforms; 256 give {few.estimate:.4f}, interval of 99 %",
    )


def tracks(config: Config) -> tuple[list[Finding], Figure, Table]:
    """The four curves, by way-points and by velocities, with bundled policies."""
    series, rows, findings = [], [], []
    for claim, name, most in (
        (claims.PLACES, "go-to-pose", 0.01),
        (claims.SPEEDS, "track-xy-velocity", 0.05),
    ):
        task, pilot = find_pilot(name)
        flown = {}
        for path in PATHS:
            say(f"{path} by {name}")
            flown[path] = track(pilot, task, find_path(path), envs=config.tracks, seed=config.seed)
            one = flown[path]
            rows.append(
                (
                    path,
                    name,
                    float(one.completed.mean()),
                    float(one.error().mean()),
                    float(np.quantile(one.distance[one.progress < 1.0], 0.95)),
                    float(one.seconds().mean()),
                    float(one.air_use.mean()),
                )
            )
        findings.append(_followed(claim, flown, most, name))
        if claim is claims.PLACES:
            series = [_drawn(path, one) for path, one in flown.items()]
    figure = Figure(
        "Four curves flown by way-points",
        "x, m",
        "y, m",
        tuple(series),
        note="The first of the flights along each; curves beside each other so that none covers another.",
    )
    columns = (
        "curve",
        "policy",
        "completed",
        "mean distance, m",
        "95 % of the time within, m",
        "s",
        "air use",
    )
    return (
        findings,
        figure,
        Table(f"{config.tracks} flights along each curve, any heading at the start", columns, tuple(rows)),
    )


def _followed(claim: Claim, flown: dict[str, Tracked], most: float, name: str) -> Finding:
    errors = {path: one.error() for path, one in flown.items()}
    worst = max(errors, key=lambda path: errors[path].mean())
    over = bootstrap(errors[worst])
    whole = all(one.completed.all() for one in flown.values())
    said = ", ".join(f"{path} {error.mean():.4f}" for path, error in errors.items())
    return claim.measured(
        over.estimate,
        interval=(over.low, over.high) if math.isfinite(over.low) else None,
        holds=whole and over.estimate <= most,
        note=f"{name}; {said}; {'all' if whole else 'not all'} flights completed",
    )


def _drawn(name: str, flown: Tracked) -> Series:
    ended = int((flown.progress[:, 0] < 1.0).sum()) + 1
    x, y = flown.position[:ended, 0].T
    aside = 4.0 * list(PATHS).index(name)
    return Series(name, tuple(float(v) + aside for v in x), tuple(float(v) for v in y))


def space(config: Config) -> Finding:
    """The bundled policy in six degrees of freedom, if there is one."""
    bundled = bundled_spatial_policies()
    path = next((bundled[task.name] for task in SPATIAL_TASKS if task.heading and task.name in bundled), None)
    if path is None:
        return claims.SPACE.untested("no policy for space is bundled")
    from antiphon.worlds.platform.spatial_environment import SpatialEnvironment
    from antiphon.worlds.platform.spatial_protocol import fly_spatial, judge_spatial
    from antiphon.worlds.platform.tasks import find_spatial_task

    policy = find_policy(path)
    world = SpatialEnvironment(task=find_spatial_task(policy.metadata.task))
    say(f"space: {config.spatial_episodes} episodes")
    protocol = Protocol(envs=config.spatial_episodes, seed=config.seed)
    figures = judge_spatial(world.task, fly_spatial(world, policy, protocol), resamples=500)
    found = figures["arrived"]
    said = ", ".join(
        f"{name} {figures[name].estimate:.3f}" for name in ("PT5", "OT5", "air_use") if name in figures
    )
    return claims.SPACE.measured(
        found.estimate,
        interval=(found.low, found.high),
        holds=found.estimate >= 0.95,
        note=f"{found.n} episodes of 50 s from 3 to 4 m and any attitude; {said}",
    )


def visible(run: RunDirectory, policy: PlatformPolicy) -> Finding:
    """The page of the run's first policy."""
    page = viewer_page({TASK: policy}, {}, "The policy of this run")
    (run.path / "platform.html").write_text(page, encoding="utf-8")
    fetched = [word for word in _LEAST_WORDS if f'src="{word}' in page or f'href="{word}' in page]
    return claims.VISIBLE.measured(
        f"platform.html, {len(page.encode()) // 1024} KiB",
        holds=not fetched and "<canvas" in page,
        note="flown in headless Chromium by tests/worlds/platform/test_viewer.py",
    )


def robot(config: Config, policy: PlatformPolicy) -> Finding:
    """The policy behind the controller that runs on the robot."""
    say("behind the robot's controller")
    flown = [
        fly_robot(policy, (3.0, y, 2.0 * y), config.robot_seconds, seed=k)
        for k, y in enumerate((-1.0, 0.0, 1.0))
    ]
    last = max(float(one.distance[-100:].max()) for one in flown)
    rates = [one.commands / config.robot_seconds for one in flown]
    shut = all(one.shut for one in flown)
    return claims.ROBOT.measured(
        last,
        holds=last <= 0.02 and shut,
        note=f"farthest in the last second of three flights, poses with 1 mm of noise, {min(rates):.2f} "
        f"commands a second, {sum(one.refused for one in flown)} poses refused; valves "
        f"{'shut' if shut else 'open'} once poses ended; over DDS in tests/worlds/platform/test_ros2_live.py",
    )
