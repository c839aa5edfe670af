"""The reference of a spec's fields, made from the model so that it cannot say something else.

    python -m reconciler.app.spec_reference > docs/spec.md

Types, bounds and defaults come from `JobSpec`, what a change causes from `reconciler.diff`, and which
kinds lack a field from `spec_kinds`. Only meanings and examples are written by hand; a test fails when a
field has none, or when the file in `docs/` is not what this prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from reconciler.app.spec_texts import CONFIGURATION, EXAMPLES, FIELDS, INTRODUCTION, SECTIONS
from reconciler.diff import DiffClass, classify
from reconciler.model.flink_keys import OPERATOR_KEYS, OPERATOR_PREFIXES
from reconciler.model.spec import JobSpec
from reconciler.model.spec_fields import fields, section
from reconciler.model.spec_kinds import MISPLACED

MINIMAL: Mapping[str, Any] = {"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///srv/jobs/job.py"}}
_REQUIRED = ("flinkVersion", "job.type", "job.uri")
_CAUSES = {
    DiffClass.IGNORE: "nothing restarts",
    DiffClass.SCALE: "rescale",
    DiffClass.UPGRADE: "upgrade",
}


def paths() -> Iterator[str]:
    """Every field that holds a value, in the order of the model."""
    for name in fields(JobSpec):
        inner = section(JobSpec, name)
        if inner is None:
            yield name
        else:
            yield from (f"{name}.{field}" for field in fields(inner))


def type_of(path: str) -> str:
    """The type in the words of JSON, with unit and bounds."""
    schema = JobSpec.model_json_schema(by_alias=True)
    node: dict[str, Any] = schema
    for part in path.split("."):
        node = _resolve(schema, node)["properties"][part]
    return _type(schema, node)


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else node


def _type(schema: dict[str, Any], node: dict[str, Any]) -> str:
    node = _resolve(schema, node)
    if "anyOf" in node:
        return " or ".join(_type(schema, each) for each in node["anyOf"])
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{each}`" for each in node["enum"])
    kind = node.get("type")
    if kind == "string" and "|sec|" in node.get("pattern", ""):
        return "duration"
    if kind == "string" and "[mMgGtT]" in node.get("pattern", ""):
        return "size"
    if kind == "array":
        most = f", at most {node['maxItems']}" if "maxItems" in node else ""
        return f"list of {_type(schema, node['items'])}{most}"
    names = {"integer": "whole number", "number": "number", "boolean": "true or false", "object": "map of strings"}
    return f"{names.get(str(kind), str(kind))}{_bounds(node)}"


def _bounds(node: dict[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {node[key]:g}" for key, sign in words.items() if key in node]
    return f" {', '.join(found)}" if found else ""


def default_of(path: str) -> str:
    """The default as it would be written in JSON."""
    if path in _REQUIRED:
        return "required"
    value: Any = JobSpec.model_validate(MINIMAL).model_dump(mode="json", by_alias=True)
    for part in path.split("."):
        value = value[part]
    return f"`{json.dumps(value)}`"


def example(path: str) -> dict[str, Any]:
    """A fragment of a spec that sets the field."""
    fragment: Any = EXAMPLES[path]
    for part in reversed(path.split(".")):
        fragment = {part: fragment}
    return dict(fragment)


def write() -> Iterator[str]:
    """The lines of docs/spec.md."""
    yield INTRODUCTION
    yield from _table("", [name for name in paths() if "." not in name])
    for name in fields(JobSpec):
        inner: type[BaseModel] | None = section(JobSpec, name)
        if inner is not None:
            yield f"## {name}\n\n{SECTIONS[name]}\n"
            yield from _table(name, [path for path in paths() if path.startswith(f"{name}.")])
    yield CONFIGURATION
    yield "| key | why it cannot be set |\n| --- | --- |"
    for key, why in sorted(
        {**OPERATOR_KEYS, **{f"{prefix}*": why for prefix, why in OPERATOR_PREFIXES.items()}}.items()
    ):
        yield f"| `{key}` | {_cell(why)} |"


def _table(name: str, found: list[str]) -> Iterator[str]:
    yield "| field | type | default | a change causes | meaning | example |\n| --- | --- | --- | --- | --- | --- |"
    for path in found:
        meaning = FIELDS[path]
        absent = [f"`{kind}`" for kind, table in MISPLACED.items() if path in table or path.split(".")[0] in table]
        if absent:
            meaning += f" Not in {' or '.join(absent)}."
        shown = path.removeprefix(f"{name}.")
        cells = [
            f"`{shown}`", type_of(path), default_of(path), _CAUSES[classify(path)], meaning,
            f"`{json.dumps(EXAMPLES[path], ensure_ascii=False)}`",
        ]  # fmt: skip
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write("\n".join(write()) + "\n")
