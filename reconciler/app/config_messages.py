"""pydantic's findings about a configuration in the words of an administrator: where, what, what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from reconciler.model.spec_errors import problem, shown
from reconciler.model.spec_messages import describe, translate
from reconciler.model.status import SpecError

_PATTERNS: Mapping[str, tuple[str, str]] = {
    "zookeeper.root": ("is not a path in ZooKeeper", 'write one such as "/weir", without a slash at its end'),
    "log.format": ("is not one of: console, json", ""),
    "log.level": ("is not one of: debug, info, warning, error", ""),
    "api.advertise": ("is not an address of HTTP", 'write one such as "http://weir-1:8480", without a path'),
}
_REQUIRED: Mapping[str, str] = {"home": 'name the directory of Flink on the agents, such as "/opt/flink-2.2.1"'}
_NUMBERS: Mapping[str, str] = {
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
}


def findings(details: Sequence[Mapping[str, Any]], root: type[BaseModel]) -> Iterator[SpecError]:
    """Each entry of `ValidationError.errors()`."""
    for detail in details:
        where = tuple(str(part) for part in detail["loc"])
        yield _finding(where, detail, root)


def _finding(where: tuple[str, ...], detail: Mapping[str, Any], root: type[BaseModel]) -> SpecError:
    path, kind, value = ".".join(where), str(detail["type"]), detail.get("input")
    if kind == "extra_forbidden":
        return problem(path, "there is no such setting", suggestion(where, root))
    if kind == "missing":
        return problem(path, "is required", _REQUIRED.get(where[-1]))
    if kind == "string_pattern_mismatch" and path in _PATTERNS:
        what, hint = _PATTERNS[path]
        return problem(path, f"{shown(value)} {what}", hint or _near(value, what))
    if kind in _NUMBERS:
        return problem(path, f"has to be {_NUMBERS[kind]}, not {describe(value)}")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return problem(path, f"has to be a table of settings, not {_described(value)}", f"write [{path}]")
    if kind == "too_short":
        return problem(path, "is empty", "leave it out for its default")
    return translate(detail)


def _described(value: object) -> str:
    return "a table" if isinstance(value, dict) else describe(value)


def _near(value: object, what: str) -> str | None:
    near = difflib.get_close_matches(str(value).lower(), what.partition(": ")[2].split(", "), n=1)
    return f"did you mean {near[0]}?" if near else None


def suggestion(where: Sequence[str], root: type[BaseModel]) -> str:
    """What was probably meant by a setting that does not exist."""
    *above, key = where
    known = list(_settings(root))
    prefix = ".".join(above)
    here = [path.rpartition(".")[2] for path in known if path.rpartition(".")[0] == _generic(above, known)]
    plain = {_plain(name): name for name in here}
    near = difflib.get_close_matches(_plain(key), plain, n=1, cutoff=0.7)
    if near:
        return f"did you mean {'.'.join((*above, plain[near[0]]))}?"
    elsewhere = {_plain(path.rpartition(".")[2]): path for path in known}
    near = difflib.get_close_matches(_plain(key), elsewhere, n=1, cutoff=0.8)
    if near:
        return f"did you mean {elsewhere[near[0]]}?"
    return f"settings of {prefix}: {', '.join(here)}" if prefix else f"sections: {', '.join(here)}"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


ANY = "NAME"
"""Stands for a name that the administrator chooses, in the path of a setting."""


def _generic(above: Sequence[str], known: Sequence[str]) -> str:
    """The path of a section as `_settings` has it: `flink.distributions.2.2` is `flink.distributions.NAME`."""
    sections = {path.rpartition(".")[0] for path in known}
    path = ".".join(above)
    for n in range(len(above), 0, -1):
        generic = ".".join((*above[:n], ANY))
        if path not in sections and generic in sections:
            return generic
    return path


def _settings(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every setting and section, as dotted paths."""
    for name, field in model.model_fields.items():
        yield ".".join((*above, name))
        inner, chosen = _model_of(field.annotation)
        if inner is not None:
            yield from _settings(inner, (*above, name, ANY) if chosen else (*above, name))


def _model_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section that a field holds, and whether it is one of several that have names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    chosen = get_origin(annotation) is dict
    if chosen or get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            inner, deeper = _model_of(each)
            if inner is not None:
                return inner, chosen or deeper
    return None, False
