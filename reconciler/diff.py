"""What kind of change lies between two specs: IGNORE < SCALE < UPGRADE, the largest field wins.

The classes follow the Flink Kubernetes operator ("Job lifecycle management"): a field that only
tells the operator how to behave needs no new job; parallelism can change in a running job; anything
else, and any field without a class, opens a new generation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from reconciler.model.spec import JobSpec


class DiffClass(IntEnum):
    """How much a change asks for; larger wins."""

    NONE = 0
    IGNORE = 1
    SCALE = 2
    UPGRADE = 3


FIELD_CLASS: Mapping[str, DiffClass] = {
    "job.state": DiffClass.IGNORE,  # suspending and resuming have their own rules in `decide`
    "job.upgradeMode": DiffClass.IGNORE,
    "job.initialSavepointPath": DiffClass.IGNORE,  # only a job's first generation reads it
    "job.allowNonRestoredState": DiffClass.IGNORE,
    "job.savepointTriggerNonce": DiffClass.IGNORE,
    "job.prestart": DiffClass.IGNORE,
    "job.parallelism": DiffClass.SCALE,
    "taskManager.replicas": DiffClass.SCALE,
    "placement": DiffClass.IGNORE,  # where running tasks are stays as it is; the next placing obeys it
    "restart": DiffClass.IGNORE,
    "snapshots": DiffClass.IGNORE,
    "health": DiffClass.IGNORE,
    "onDelete": DiffClass.IGNORE,
}
"""By dotted path; a path covers everything below it. Absent: UPGRADE."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs, with both values as they stand in JSON."""

    path: str
    before: object
    after: object
    kind: DiffClass


def classify(path: str) -> DiffClass:
    """The class of the nearest enclosing path that has one."""
    while path:
        if path in FIELD_CLASS:
            return FIELD_CLASS[path]
        path = path.rpartition(".")[0]
    return DiffClass.UPGRADE


def changes(before: JobSpec, after: JobSpec) -> tuple[FieldChange, ...]:
    """Every leaf field that differs, in the order of the spec."""
    if before == after:
        return ()
    return tuple(_walk("", before.model_dump(by_alias=True), after.model_dump(by_alias=True)))


def diff_class(before: JobSpec, after: JobSpec) -> DiffClass:
    """The largest class among the differing fields."""
    return max((change.kind for change in changes(before, after)), default=DiffClass.NONE)


def describe(found: tuple[FieldChange, ...]) -> str:
    """ "job.parallelism 1 → 2, env.LEVEL …", at most three fields."""
    parts = [f"{change.path} {_short(change.before)} → {_short(change.after)}" for change in found[:3]]
    more = len(found) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _walk(path: str, before: object, after: object) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _walk(f"{path}.{key}" if path else key, before.get(key), after.get(key))
        return
    yield FieldChange(path, before, after, classify(path))
