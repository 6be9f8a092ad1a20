"""The configuration of a study: a preset, ``--set field=value`` on top, or the one a run was made with."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from antiphon.cli.nearest import nearest
from antiphon.cli.parsing import parse
from antiphon.core.errors import UserError


def with_settings(config: Any, settings: Sequence[str]) -> Any:
    """A configuration with fields replaced.

    Args:
        config: a frozen dataclass.
        settings: ``field=value`` each; fields of nested dataclasses are joined with dots, the items of a
            tuple with commas.

    Raises:
        UserError: there is no such field, the value is not of its type, or the configuration refuses it.
    """
    import tyro

    words: list[str] = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise UserError("field", f"--set {setting} has no value", "write --set FIELD=VALUE")
        path = name.replace("-", "_").split(".")
        kind = _field_type(type(config), path, name)
        if kind is bool and value.lower() in ("true", "false"):
            value = value.capitalize()  # as JSON writes it, too
        words.append(f"--{'.'.join(path)}")
        words += (
            [item.strip() for item in value.split(",") if item.strip()] if _is_sequence(kind) else [value]
        )
    if not words:
        return config
    markers = (tyro.conf.FlagConversionOff, tyro.conf.AvoidSubcommands)
    try:
        return parse(type(config), words, "antiphon run --set", config, markers)
    except UserError as error:
        raise UserError("field", error.message, "give the field a value of its type") from error


def from_saved(kind: type, saved: Any) -> Any:
    """A configuration from the JSON that ``config.json`` holds: objects become dataclasses, lists tuples.

    Raises:
        UserError: a field of the dataclass is missing there, or one there is unknown here.
    """
    return _restore(kind, saved, "config")


def seeded(config: Any, seed: int | None) -> tuple[Any, int]:
    """A configuration and its seed: the given one, else the configuration's own, else 0.

    A ``Config`` may have a field ``seed``; it then always agrees with the run's.
    """
    own = getattr(config, "seed", None)
    chosen = seed if seed is not None else own if isinstance(own, int) else 0
    has_field = any(field.name == "seed" for field in fields(config))
    return (replace(config, seed=chosen) if has_field else config), chosen


def _field_type(kind: Any, path: Sequence[str], name: str) -> Any:
    for place, part in enumerate(path):
        names = [field.name for field in fields(kind)] if is_dataclass(kind) else []
        if part not in names:
            where = f" in {'.'.join(path[:place])}" if place else ""
            raise UserError(
                "field", f"there is no field {part!r}{where}, as in --set {name}", nearest(part, names)
            )
        kind = typing.get_type_hints(kind)[part]
    return kind


def _is_sequence(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    if origin in (typing.Union, types.UnionType):
        return any(_is_sequence(option) for option in typing.get_args(kind))
    return isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset)


def _restore(kind: Any, saved: Any, name: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not types.NoneType]
        return None if saved is None else _restore(options[0], saved, name) if len(options) == 1 else saved
    if is_dataclass(kind) and isinstance(saved, Mapping):
        return _restore_dataclass(typing.cast(type, kind), saved, name)
    if origin is tuple and isinstance(saved, list):
        items = typing.get_args(kind)
        every = items[:1] * len(saved) if len(items) == 2 and items[1] is Ellipsis else items
        if len(every) == len(saved):
            return tuple(_restore(item, value, name) for item, value in zip(every, saved, strict=True))
        return tuple(saved)
    if kind is tuple and isinstance(saved, list):
        return tuple(saved)
    if kind in (float, Path) and saved is not None:
        # The saved form of an infinite float is a word, which float() reads.
        return kind(saved)
    return saved


def _restore_dataclass(kind: type, saved: Mapping[str, Any], name: str) -> Any:
    hints, known = typing.get_type_hints(kind), {field.name: field for field in fields(kind)}
    unknown = [key for key in saved if key not in known]
    missing = [
        key
        for key, field in known.items()
        if key not in saved and field.default is MISSING and field.default_factory is MISSING
    ]
    if unknown or missing:
        raise UserError(
            "field",
            f"the saved configuration and this version differ in the field {name}.{(unknown + missing)[0]}",
            "resume with the version of antiphon that made the run, or start a new run",
        )
    return kind(**{key: _restore(hints[key], value, f"{name}.{key}") for key, value in saved.items()})
