"""pydantic's findings in the words of a spec's author."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.model.spec_errors import problem, shown
from reconciler.model.status import SpecError

REQUIRED: Mapping[str, str] = {
    "job": 'the least is {"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///path/job.py"}}',
    "job.type": 'write "python", "jar" or "sql"',
    "job.uri": 'name the script or the jar, such as "file:///srv/jobs/job.py"',
    "session": "name the session that the job is to run in, as it stands in /weir/jobs",
    "flinkVersion": 'name a Flink version that the operator has, such as "2.2"',
}
_WANTED: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_VERSION_HINT = 'put it into quotes, such as "2.2"; as a number, 1.20 is the same as 1.2'
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")


def translate(detail: Mapping[str, Any]) -> SpecError:
    """One entry of `ValidationError.errors()` as a `SpecError`."""
    path = ".".join(str(part) for part in detail["loc"])
    kind, value, context = str(detail["type"]), detail.get("input"), detail.get("ctx") or {}
    if kind == "missing":
        return problem(path, "is required", REQUIRED.get(path))
    if kind in _WANTED:
        hint = _VERSION_HINT if path == "flinkVersion" else _type_hint(kind, value)
        return problem(path, f"has to be {_WANTED[kind]}, not {describe(value)}", hint)
    if kind in _BOUNDS:
        return problem(path, f"{shown(value)} {_BOUNDS[kind](context)}")
    if kind == "literal_error":
        return _choice(path, value, str(context.get("expected", "")))
    if kind == "value_error":
        return problem(path, str(context.get("error", detail["msg"])), _unit_hint(value, str(context.get("error"))))
    if kind == "string_pattern_mismatch" and path == "session":
        return problem(path, f"{shown(value)} cannot be the name of a session", "it is the name of its znode")
    if kind == "string_pattern_mismatch":
        return problem(path, f"{shown(value)} is not a Flink version", _version_hint(value))
    if kind == "string_too_short":
        return problem(path, "is empty", REQUIRED.get(path))
    return problem(path, str(detail["msg"]))


_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda context: f"is too small, the least is {context['ge']:g}",
    "greater_than": lambda context: f"is too small, it has to be more than {context['gt']:g}",
    "less_than_equal": lambda context: f"is too large, the most is {context['le']:g}",
    "less_than": lambda context: f"is too large, it has to be less than {context['lt']:g}",
    "too_long": lambda context: f"has {context['actual_length']} entries, the most is {context['max_length']}",
    "string_too_long": lambda context: f"is longer than {context['max_length']} characters",
}


def describe(value: object) -> str:
    """What kind of thing a JSON value is, with the value when it is short and plain."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return shown(value)
    return f"the {'string' if isinstance(value, str) else 'number'} {shown(value)}"


def nearest(value: str, choices: list[str]) -> str | None:
    """The choice that was probably meant."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(value.lower().replace("_", "-"), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def one_of(path: str, value: object, choices: list[str]) -> SpecError:
    """A value that is none of the choices."""
    near = nearest(value, choices) if isinstance(value, str) else None
    listed = ", ".join(choices) or "none"
    return problem(path, f"{shown(value)} is not one of: {listed}", f'did you mean "{near}"?' if near else None)


def _choice(path: str, value: object, expected: str) -> SpecError:
    return one_of(path, value, re.findall(r"'([^']*)'", expected))


def _type_hint(kind: str, value: object) -> str | None:
    if value is None:
        return "leave the field out for its default"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'put it into quotes, such as "{json.dumps(value)}"'
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if kind in ("int_type", "float_type") and isinstance(value, str) and _NUMBER.match(value):
        return f"leave out the quotes: {value}"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"leave out the quotes: {value.lower()}"
    if kind == "list_type" and isinstance(value, str):
        return f"write [{shown(value)}]"
    return None


def _unit_hint(value: object, message: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return f'the unit is missing; did you mean "{value}{"s" if "duration" in message else "m"}"?'


def _version_hint(value: object) -> str:
    found = re.match(r"^[vV]?(\d+)[._](\d+)", value) if isinstance(value, str) else None
    return f'did you mean "{found[1]}.{found[2]}"?' if found else 'write major.minor, such as "2.2"'
