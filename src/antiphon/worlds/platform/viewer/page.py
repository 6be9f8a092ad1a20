"""One HTML page that needs nothing beside it: policies and logs as numbers, and the code for both."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from antiphon.core.errors import UserError
from antiphon.worlds.platform.flight_log import FlightLog
from antiphon.worlds.platform.nominal_plant import NominalPlant, plant_figures
from antiphon.worlds.platform.parameters import RADIUS, planar
from antiphon.worlds.platform.passage import CONE_HALF_ANGLE, CONE_LENGTH, CONE_SLACK, GATE_HALF_WIDTH
from antiphon.worlds.platform.policy_file import VALVES, PlatformPolicy
from antiphon.worlds.platform.robot import policy_decision
from antiphon.worlds.platform.tasks import Task, find_task

SCRIPTS = ("plant.js", "flight.js", "replay.js", "scene.js", "meters.js", "panel.js", "hands.js", "app.js")
"""The page's code, in the order in which it is run."""

_POSE_HZ = 25.0
"""Poses a second that a replay keeps: more than a screen needs at walking pace."""


def viewer_page(
    policies: Mapping[str, PlatformPolicy], logs: Mapping[str, FlightLog] | None = None, title: str = ""
) -> str:
    """The page, as text.

    Args:
        policies: by the name that the page shows; the first one flies when the page opens.
        logs: recorded flights by name. Without policies the first of them is replayed at once.
        title: of the page.

    Raises:
        UserError: nothing to show, a policy whose observation cannot be made, or a log without poses.
    """
    logs = logs or {}
    if not policies and not logs:
        raise UserError("usage", "there is nothing to show", "give a policy or a log")
    plants = [_plant(policy) for policy in policies.values()] or [_drawable(plant_figures(planar()))]
    data = {
        "policies": [_policy(name, policy, i) for i, (name, policy) in enumerate(policies.items())],
        "plants": plants,
        "logs": [_log(name, log) for name, log in logs.items()],
        "first": "policy:0" if policies else "log:0",
        "sizes": {
            "radius": RADIUS, "gate_half_width": GATE_HALF_WIDTH, "cone_half_angle": CONE_HALF_ANGLE,
            "cone_length": CONE_LENGTH, "cone_slack": CONE_SLACK,
        },
    }  # fmt: skip
    # "</script>" inside a JSON text would end the element; "\u003c" is the same string to JSON.
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return Template(asset("page.html")).substitute(
        title=_plain(title or "Floating platform"),
        style=asset("page.css"),
        data=text,
        script="\n".join(asset(name) for name in SCRIPTS),
    )


def asset(name: str) -> str:
    """A file of the page."""
    return resources.files("antiphon.worlds.platform.viewer").joinpath(name).read_text(encoding="utf-8")


def _policy(name: str, policy: PlatformPolicy, plant: int) -> dict[str, Any]:
    policy_decision(policy)  # refuses what could not be observed
    metadata = policy.metadata
    return {
        "name": name,
        "task": _task(find_task(metadata.task)),
        "observation": metadata.observation,
        "valve_filter": asdict(policy.valve_filter),
        "rate_hz": metadata.rate_hz,
        "valve_map": list(metadata.valve_map),
        "layers": [{"weight": _packed(weight), "bias": _packed(bias)} for weight, bias in policy.layers],
        "plant": plant,
        "about": _about(policy),
    }


def _task(task: Task) -> dict[str, Any]:
    names = ("name", "about", "position", "heading", "velocity", "angular_velocity", "passage", "label")
    facts = {name: getattr(task, name) for name in names}
    return facts | {"tolerance": {"position": task.tolerance.position, "heading": task.tolerance.heading}}


def _about(policy: PlatformPolicy) -> dict[str, str]:
    metadata = policy.metadata
    shape = " → ".join(str(n) for n in (policy.observation_size, *(len(bias) for _, bias in policy.layers)))
    facts = {
        "task": f"{metadata.task}: {find_task(metadata.task).about}",
        "network": f"{shape}, tanh, {sum(w.size + b.size for w, b in policy.layers)} numbers",
        "observation": metadata.observation,
        "rate": f"{metadata.rate_hz:g} Hz",
        "trained by": metadata.trained_by,
        "seed": "" if metadata.seed is None else str(metadata.seed),
        **{str(name): _figure(value) for name, value in metadata.figures.items()},
    }
    return {name: value for name, value in facts.items() if value}


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plant(policy: PlatformPolicy) -> dict[str, Any]:
    figures = policy.metadata.plant or plant_figures(planar())
    NominalPlant.of(figures)  # refuses what is not a platform
    return _drawable(figures)


def _drawable(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {"split_thrust": True, **figures, "mask": [1] * VALVES}


def _log(name: str, log: FlightLog) -> dict[str, Any]:
    if len(log.pose_time) < 2:
        raise UserError(
            "log", f"the log {name} holds {len(log.pose_time)} poses", "give a flight with at least two"
        )
    kept = _thinned(log.pose_time)
    task = find_task(str(log.facts.get("task", "go-to-pose")))
    about = {
        "task": f"{task.name}: {task.about}",
        "poses": f"{len(log.pose_time)} in {log.pose_time[-1] - log.pose_time[0]:.1f} s",
        "commands": str(len(log.valve_time)),
        **{
            str(k): _figure(v)
            for k, v in log.facts.items()
            if k != "task" and isinstance(v, str | int | float)
        },
    }
    return {
        "name": name,
        "task": _task(task),
        "pose_time": _rounded(log.pose_time[kept], 3),
        "x": _rounded(log.position[kept, 0], 4),
        "y": _rounded(log.position[kept, 1], 4),
        "heading": _rounded(log.heading[kept], 4),
        "valve_time": _rounded(log.valve_time, 3),
        "valves": ["".join("1" if valve else "0" for valve in row) for row in log.valves],
        "goal_time": _rounded(log.goal_time, 3),
        "goal": [_rounded(row, 4) for row in log.goal],
        "about": about,
    }


def _thinned(times: np.ndarray) -> np.ndarray:
    """Indices of poses at least a frame apart, the last one always."""
    slots = np.floor((times - times[0]) * _POSE_HZ + 1e-6)
    first = np.concatenate([[True], np.diff(slots) > 0])
    first[-1] = True
    return np.flatnonzero(first)


def _rounded(values: Sequence[float] | np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values if math.isfinite(value)]


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
