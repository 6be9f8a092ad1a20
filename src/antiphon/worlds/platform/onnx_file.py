"""A platform policy as ONNX, written directly: a dozen messages of Protocol Buffers need no library.

Source: the field numbers of ``onnx.proto3`` (ONNX intermediate representation, version 8) and the wire format
of Protocol Buffers.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from antiphon.worlds.platform.policy_file import PlatformPolicy, write_file

IR_VERSION = 8
OPSET = 17
INPUT = "observation"
OUTPUTS = ("valves", "logits")

_FLOAT, _BOOL = 1, 9


def save_onnx(policy: PlatformPolicy, path: Path | str) -> Path:
    """Writes :func:`onnx_bytes`, whole or not at all; returns the path.

    Raises:
        UserError: the disk refused.
    """
    write_file(Path(path), onnx_bytes(policy))
    return Path(path)


def onnx_bytes(policy: PlatformPolicy) -> bytes:
    """The policy as an ONNX model of MatMul, Add, Tanh and Greater.

    Input ``observation`` float32 ``[N, O]``, raw as ``observation.py`` makes it; outputs ``valves`` bool
    ``[N, 8]`` and ``logits`` float32 ``[N, 8]``. The metadata stand in ``metadata_props``: each field under
    its own name, and all of them as JSON under ``antiphon``.
    """
    metadata = policy.metadata
    entries = {
        "antiphon": policy.metadata_json(),
        "task": metadata.task,
        "observation_layout": metadata.observation,
        "rate_hz": str(metadata.rate_hz),
        "valve_map": ",".join(map(str, metadata.valve_map)),
        "units": ", ".join(f"{name} {unit}" for name, unit in metadata.units.items()),
        "frame": metadata.frame,
        "decision": metadata.decision,
        "normaliser": "folded into the first layer; give raw observations",
    }
    opset = _text(1, "") + _number(2, OPSET)
    return b"".join(
        [
            _number(1, IR_VERSION),
            _text(2, "antiphon"),
            _text(6, f"Floating platform policy for {metadata.task}"),
            _part(7, _graph(policy)),
            _part(8, opset),
            *(_part(14, _text(1, name) + _text(2, value)) for name, value in entries.items()),
        ]
    )


def _graph(policy: PlatformPolicy) -> bytes:
    nodes, weights, flowing = [], [], INPUT
    last = len(policy.layers) - 1
    for index, (weight, bias) in enumerate(policy.layers):
        weights += [_tensor(f"weight_{index}", weight), _tensor(f"bias_{index}", bias)]
        summed = "logits" if index == last else f"sum_{index}"
        nodes.append(_node("MatMul", (flowing, f"weight_{index}"), f"product_{index}"))
        nodes.append(_node("Add", (f"product_{index}", f"bias_{index}"), summed))
        if index != last:
            flowing = f"hidden_{index}"
            nodes.append(_node("Tanh", (summed,), flowing))
    weights.append(_tensor("zero", np.zeros((), np.float32)))
    nodes.append(_node("Greater", ("logits", "zero"), "valves"))
    valves = policy.metadata.valves
    return b"".join(
        [
            *(_part(1, node) for node in nodes),
            _text(2, "platform_policy"),
            *(_part(5, weight) for weight in weights),
            _part(11, _value(INPUT, _FLOAT, policy.observation_size)),
            _part(12, _value(OUTPUTS[0], _BOOL, valves)),
            _part(12, _value(OUTPUTS[1], _FLOAT, valves)),
        ]
    )


def _node(operation: str, inputs: Iterable[str], output: str) -> bytes:
    return (
        b"".join(_text(1, name) for name in inputs)
        + _text(2, output)
        + _text(3, output)
        + _text(4, operation)
    )


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, _FLOAT) + _text(8, name) + _part(9, array.astype("<f4").tobytes())


def _value(name: str, element: int, size: int) -> bytes:
    shape = _part(1, _text(2, "N")) + _part(1, _number(1, size))
    return _text(1, name) + _part(2, _part(1, _number(1, element) + _part(2, shape)))


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())


def _part(field: int, data: bytes) -> bytes:
    """A length-delimited field: bytes, text, or another message."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
