"""Which fields a spec has, and what to say about those it has not.

Nothing in a spec is ignored silently: an unknown field is refused with where it probably belongs.
What is refused is taken out of the document, so that the steps after this one look at the rest.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reconciler.model.spec import JobSpec
from reconciler.model.spec_errors import problem, shown
from reconciler.model.status import SpecError

FOREIGN: Mapping[str, str] = {
    "spec": "a znode holds what stands below `spec:`, without the envelope",
    "metadata": "the name of a job is the name of its znode; there is no metadata",
    "jarURI": "its name here is job.uri",
    "image": "the operator's configuration maps flinkVersion to a distribution or an image",
    "imagePullPolicy": "the operator's configuration maps flinkVersion to a distribution or an image",
    "serviceAccount": "Mesos has no service accounts; user names the account that tasks run as",
    "podTemplate": "there are no pods on Mesos; see env, placement, jobManager and taskManager",
    "ingress": "the JobManager's address is in the status as jobManagerUrl",
    "logConfiguration": "logging is configured by the operator's configuration",
    "resource": 'write cpus and memory directly, such as {"cpus": 1.0, "memory": "1g"}',
    "cpu": "its name here is cpus",
    "mem": "its name here is memory",
    "numberOfTaskSlots": "its name here is taskManager.slots",
    "savepointRedeployNonce": "stop the job, set job.initialSavepointPath, start it again",
    "flinkConf": "its name here is flinkConfiguration",
    "environment": "its name here is env",
    "name": "the name of a job is the name of its znode",
    "version": "its name here is flinkVersion",
    "suspended": 'write "state": "suspended" in job',
}
"""Names that people know from other operators and tools."""

_STAND_INS: Mapping[str, Any] = {"job.type": "jar", "job.uri": "/", "flinkVersion": "0.0"}
"""What stands for a required field that is missing or wrong while the rest is looked at."""


@cache
def section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of the section `name` of `model`, or None when that is a plain field."""
    found = fields(model).get(name)
    annotation = found.annotation if found is not None else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


@cache
def fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a model under the names that users write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def take_out(document: dict[str, Any], path: Sequence[str]) -> None:
    """Remove the value at `path`, so that its default or a stand-in applies.

    Entries of lists go with their list, entries of maps alone.
    """
    model: type[BaseModel] | None = JobSpec
    node = document
    for depth, part in enumerate(path):
        inner = section(model, part) if model is not None else None
        below = node.get(part)
        if depth + 1 < len(path) and isinstance(below, dict):
            node, model = below, inner
            continue
        node.pop(part, None)
        dotted = ".".join(path[: depth + 1])
        if dotted in _STAND_INS:
            node[part] = _STAND_INS[dotted]
        elif dotted == "job":
            node[part] = {"type": _STAND_INS["job.type"], "uri": _STAND_INS["job.uri"]}
        return


def unknown_fields(document: dict[str, Any]) -> Iterator[SpecError]:
    """Fields that do not exist, each with the nearest one that does."""
    yield from _unknown(document, JobSpec, ())


def plain_values(document: dict[str, Any]) -> Iterator[SpecError]:
    """Make numbers and booleans in `flinkConfiguration` the strings that they stand for."""
    configuration = document.get("flinkConfiguration")
    if not isinstance(configuration, dict):
        return
    for key, value in list(configuration.items()):
        if isinstance(value, bool | int | float):
            configuration[key] = _plain(value)
        elif not isinstance(value, str):
            what = "is null" if value is None else "is not a plain value"
            hint = "leave the key out for Flink's default" if value is None else _flat_hint(key, value)
            yield problem(f"flinkConfiguration.{key}", what, hint)
            del configuration[key]


def _unknown(node: dict[str, Any], model: type[BaseModel], above: tuple[str, ...]) -> Iterator[SpecError]:
    known = fields(model)
    for key in list(node):
        if key not in known:
            path = ".".join((*above, key))
            yield problem(path, f"there is no field {shown(key)} {_where(above)}", _suggestion(key, model, above))
            del node[key]
            continue
        inner = section(model, key)
        if inner is not None and isinstance(node[key], dict):
            yield from _unknown(node[key], inner, (*above, key))


def _where(above: tuple[str, ...]) -> str:
    return f"in {'.'.join(above)}" if above else "at the top of a spec"


def _suggestion(key: str, model: type[BaseModel], above: tuple[str, ...]) -> str:
    siblings = {name.lower(): name for name in fields(model)}
    plain = key.replace("_", "").replace("-", "").lower()
    if plain in siblings:
        return f"did you mean {siblings[plain]}?"
    elsewhere = {
        f"{prefix}.{name}" if prefix else name: name.lower()
        for prefix, name in _everywhere()
        if prefix != ".".join(above)
    }
    places = [path for path, name in elsewhere.items() if name == plain]
    if places:
        return f"it belongs elsewhere: {' or '.join(places)}"
    if key in FOREIGN:
        return FOREIGN[key]
    if "." in key:
        return "options of Flink itself go into flinkConfiguration"
    near = difflib.get_close_matches(plain, siblings, n=1, cutoff=0.7)
    if near:
        return f"did you mean {siblings[near[0]]}?"
    near = difflib.get_close_matches(plain, list(elsewhere.values()), n=1, cutoff=0.8)
    if near:
        return f"did you mean {next(path for path, name in elsewhere.items() if name == near[0])}?"
    return f"fields here: {', '.join(siblings.values())}"


def _everywhere() -> Iterator[tuple[str, str]]:
    for name in fields(JobSpec):
        yield "", name
        inner = section(JobSpec, name)
        for field in fields(inner) if inner is not None else ():
            yield name, field


def _plain(value: bool | float) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value)


def _flat_hint(key: str, value: object) -> str:
    if isinstance(value, dict) and value:
        inner = next(iter(value))
        return f'write flat keys, such as {shown(f"{key}.{inner}")}: "…"'
    return "write one string; Flink separates the entries of a list with ;"
