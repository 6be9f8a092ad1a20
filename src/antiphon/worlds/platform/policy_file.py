"""A trained platform policy as one small ``.npz``: weights, and everything needed to use them on a robot.

Nothing here needs jax, so that a robot's computer runs it with NumPy alone; given a jax array, the same code
is traced.
"""

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from antiphon.core.errors import UserError
from antiphon.core.files import whole_file
from antiphon.train.files import plain
from antiphon.worlds.platform.valve_belief import ValveFilter

FORMAT = 1
VALVES = 8
SPATIAL_VALVES = 16
OBSERVATIONS = {"body": VALVES, "adaptive": VALVES, "drift": VALVES, "spatial": SPATIAL_VALVES}
"""Valves of the platform that each layout of observations is of."""
UNITS = MappingProxyType(
    {"length": "m", "angle": "rad", "time": "s", "mass": "kg", "force": "N", "torque": "N m"}
)

Layer = tuple[np.ndarray, np.ndarray]
"""Weights ``[in, out]`` and biases ``[out]``, float32."""


@dataclass(frozen=True)
class PolicyMetadata:
    """What the weights mean. Units and frames are written down because an exported policy outlives its maker.

    Attributes:
        task: name of the task it was trained for, as ``"go-to-pose"``.
        observation: layout of its input: ``"body"``, ``"adaptive"`` or ``"drift"`` (``observation.py`` says
            what is where), or ``"spatial"`` of the platform in six degrees of freedom
            (``spatial_observation.py``).
        rate_hz: decisions a second.
        valves: numbers it decides about.
        valve_map: ``valve_map[i]`` is the nozzle of the platform that output i drives; nozzles are counted
            as the columns of the wrench matrix.
        activation: between the layers.
        decision: how logits become valves.
        units: SI.
        frame: of poses and goals.
        plant: figures of the platform it was trained on: mass, inertia, nozzle positions, directions, thrust.
        valve_filter: figures of the :class:`ValveFilter` behind an adaptive observation; those that are left
            out are its own.
        trained_by: program, method and settings, in words.
        seed: of the training.
        figures: what was measured of it, by name.
    """

    task: str
    observation: Literal["body", "adaptive", "drift", "spatial"] = "body"
    rate_hz: float = 5.0
    valves: int = VALVES
    valve_map: tuple[int, ...] = tuple(range(VALVES))
    activation: Literal["tanh"] = "tanh"
    decision: str = "valve i is open while logit i > 0"
    units: Mapping[str, str] = field(default_factory=lambda: dict(UNITS))
    frame: str = "world: x and y in the floor plane, z up, heading counter-clockwise from x"
    plant: Mapping[str, Any] = field(default_factory=dict)
    valve_filter: Mapping[str, float] = field(default_factory=dict)
    trained_by: str = ""
    seed: int | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ``UserError`` for what no runner here could follow."""
        if self.observation not in OBSERVATIONS:
            raise UserError(
                "policy",
                f"the observation layout {self.observation!r} is not known",
                f"use one of: {', '.join(OBSERVATIONS)}",
            )
        if self.activation != "tanh":
            raise UserError("policy", f"the activation {self.activation!r} is not known", "use tanh")
        unknown = set(self.valve_filter) - set(ValveFilter.__dataclass_fields__)
        if unknown:
            raise UserError(
                "policy",
                f"the valve filter has no {min(unknown)}",
                "train and export the policy again",
            )
        ValveFilter(**self.valve_filter)
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise UserError("policy", f"the rate is {self.rate_hz} Hz", "give a positive number")
        if sorted(self.valve_map) != list(range(self.valves)):
            raise UserError(
                "policy",
                f"the valve map {list(self.valve_map)} does not name each of {self.valves} valves once",
                f"give an order of the numbers 0 to {self.valves - 1}",
            )


@dataclass(frozen=True, eq=False)
class PlatformPolicy:
    """``logits = W_L tanh(… tanh(W_1 o + b_1) …) + b_L``; a valve is open while its logit is above zero.

    Attributes:
        layers: weights ``[in, out]`` and biases ``[out]`` of each layer, float32, the normaliser of the
            observation folded into the first (:func:`fold_normaliser`).
        metadata: what they mean.
    """

    layers: tuple[Layer, ...]
    metadata: PolicyMetadata

    def __post_init__(self) -> None:
        """Raises ``UserError`` if the layers do not follow each other or do not end at the valves."""
        if not self.layers:
            raise _unfit("it has no layers")
        rows = np.shape(self.layers[0][0])[0] if np.ndim(self.layers[0][0]) == 2 else 0
        for index, (weight, bias) in enumerate(self.layers):
            shapes = f"layer {index} has weights {np.shape(weight)} and biases {np.shape(bias)}"
            if np.ndim(weight) != 2 or np.shape(bias) != np.shape(weight)[1:] or np.shape(weight)[0] != rows:
                raise _unfit(f"{shapes} after {rows} numbers")
            if weight.dtype != np.float32 or bias.dtype != np.float32:
                raise _unfit(f"layer {index} is {weight.dtype} and {bias.dtype}, not float32")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise _unfit(f"layer {index} holds numbers that are not finite")
            rows = weight.shape[1]
        if rows != self.metadata.valves:
            raise _unfit(f"it decides about {rows} valves and its metadata speak of {self.metadata.valves}")

    @property
    def observation_size(self) -> int:
        """Numbers of an observation."""
        return self.layers[0][0].shape[0]

    @property
    def valve_filter(self) -> ValveFilter:
        """What finds out about the valves, for policies that see it."""
        return ValveFilter(**self.metadata.valve_filter)

    def logits(self, observation: Float[Any, "*B O"]) -> Float[Any, "*B A"]:
        """Log-odds that each valve is open.

        Args:
            observation: NumPy or jax, in the layout ``metadata.observation``; computed in float32.
        """
        xp = observation.__array_namespace__()
        hidden = xp.asarray(observation, dtype=xp.float32)
        for weight, bias in self.layers[:-1]:
            hidden = xp.tanh(hidden @ xp.asarray(weight) + xp.asarray(bias))
        weight, bias = self.layers[-1]
        return hidden @ xp.asarray(weight) + xp.asarray(bias)

    def __call__(self, observation: Float[Any, "*B O"]) -> Bool[Any, "*B A"]:
        """The valves to open: the most likely action, nothing is drawn."""
        return self.logits(observation) > 0

    def save(self, path: Path | str) -> Path:
        """Writes the ``.npz``, whole or not at all; returns its path.

        Raises:
            UserError: the disk refused.
        """
        path = Path(path)
        arrays = {}
        for index, (weight, bias) in enumerate(self.layers):
            arrays[f"weight_{index}"], arrays[f"bias_{index}"] = weight, bias
        packed = BytesIO()
        np.savez(packed, metadata=np.array(self.metadata_json()), **arrays)
        write_file(path, packed.getvalue())
        return path

    def metadata_json(self) -> str:
        """The metadata as JSON, with the format's number and the size of the observation."""
        own = {"format": FORMAT, "observation_size": self.observation_size}
        return json.dumps(own | plain(self.metadata), allow_nan=False, ensure_ascii=False)


def load_policy(path: Path | str) -> PlatformPolicy:
    """Reads a policy file.

    Raises:
        UserError: it is missing, damaged, of a later format or of another valve layout; the file is named.
    """
    path = Path(path)
    arrays = _arrays(path)
    try:
        facts = json.loads(str(arrays.pop("metadata")[()]))
        found = facts.pop("format")
        size = facts.pop("observation_size")
    except (KeyError, ValueError, AttributeError, TypeError, IndexError) as error:
        raise _damaged(path, "it has no readable metadata") from error
    if found != FORMAT:
        raise UserError(
            "policy",
            f"policy file {path} has format {found}, this version reads {FORMAT}",
            "install the version of antiphon that wrote it, or export it again",
        )
    names = [f"{kind}_{index}" for index in range(len(arrays) // 2) for kind in ("weight", "bias")]
    if sorted(names) != sorted(arrays):
        raise _damaged(path, f"its arrays are {', '.join(sorted(arrays)) or 'none'}")
    layers = tuple((arrays[w], arrays[b]) for w, b in zip(names[::2], names[1::2], strict=True))
    known = {entry.name for entry in fields(PolicyMetadata)}
    if not known >= set(facts):
        raise _damaged(path, f"its metadata hold the unknown field {min(set(facts) - known)!r}")
    try:
        facts["valve_map"] = tuple(int(i) for i in facts["valve_map"])
        policy = PlatformPolicy(layers, PolicyMetadata(**facts))
    except UserError as error:
        raise UserError("policy", f"policy file {path}: {error.message}", error.mend) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"its metadata are not as they should be ({error})") from error
    if policy.observation_size != size:
        raise _damaged(path, f"it reads {policy.observation_size} numbers where its metadata say {size}")
    valves = OBSERVATIONS[policy.metadata.observation]
    if policy.metadata.valves != valves:
        raise UserError(
            "policy",
            f"policy file {path} is for {policy.metadata.valves} valves, this platform has {valves}",
            "use a policy that was trained on this platform",
        )
    return policy


def fold_normaliser(
    layers: Sequence[Layer], mean: Float[np.ndarray, " O"], deviation: Float[np.ndarray, " O"]
) -> tuple[Layer, ...]:
    """Layers that read raw observations instead of ``(o − mean) / deviation``.

    W' = diag(1/deviation) W and b' = b − (mean/deviation) W, computed in float64 and rounded once.

    Raises:
        UserError: a deviation is not positive, or the shapes do not fit.
    """
    weight, bias = (np.asarray(part, np.float64) for part in layers[0])
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    if not mean.shape == deviation.shape == weight.shape[:1]:
        raise UserError(
            "policy",
            f"a normaliser of shapes {mean.shape} and {deviation.shape} before weights {weight.shape}",
            "give one mean and one deviation for each number of the observation",
        )
    if not (deviation > 0).all():
        raise UserError("policy", "a deviation of the observation is not positive", "add a small constant")
    first = (weight / deviation[:, None], bias - (mean / deviation) @ weight)
    return tuple((np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in (first, *layers[1:]))


def require_plant(
    policy: PlatformPolicy,
    nozzle_position: Float[np.ndarray, "A 2"],
    nozzle_direction: Float[np.ndarray, "A 2"],
) -> None:
    """Checks that a policy was trained on a platform whose nozzles sit and point like these.

    Positions may differ by 2 cm and directions by about a degree: another calibration, not another layout.

    Raises:
        UserError: a nozzle differs, or there are more or fewer. A policy without plant figures passes.
    """
    plant = policy.metadata.plant
    for name, ours, allowed in (
        ("nozzle_position", nozzle_position, 0.02),
        ("nozzle_direction", nozzle_direction, 0.02),
    ):
        if name not in plant:
            continue
        theirs, ours = np.asarray(plant[name], np.float64), np.asarray(ours, np.float64)
        far = theirs.shape != ours.shape or np.abs(theirs - ours).max() > allowed
        if far:
            raise UserError(
                "policy",
                f"the policy is for another valve layout: its {name.replace('_', ' ')}s are not ours",
                "use a policy of this platform, or give the valve map of the robot",
            )


def write_file(path: Path, data: bytes) -> None:
    """Writes a file whole, or says in one sentence why the disk refused.

    Raises:
        UserError: the folder is missing, full or not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            "file", f"{path} cannot be written ({reason})", "choose a folder you may write to"
        ) from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise UserError("file", f"policy file {path} {reason}", "check the path") from error
    if not data.startswith(b"PK"):  # NumPy would read single arrays too, and try pickles
        raise _damaged(path, "it is no .npz of arrays")
    try:
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _damaged(path, "it is no .npz of arrays, or cut short") from error


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        "policy",
        f"policy file {path} cannot be used: {reason}",
        "export it again with 'antiphon platform export'",
    )


def _unfit(reason: str) -> UserError:
    return UserError("policy", f"this is no platform policy: {reason}", "give the layers of an actor network")
