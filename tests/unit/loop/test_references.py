"""Who refers to the savepoints of a job that is being deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.jobs import JobEntry
from reconciler.model.events import RawSpec
from reconciler.model.record import (
    Ending,
    EndMode,
    EndReason,
    Generation,
    Lifecycle,
    Record,
    Snapshot,
    SnapshotKind,
    SpecRef,
)
from reconciler.references import referenced
from tests.unit.decide.scenario import spec

PATHS = tuple(f"file:/srv/sp/u/1/t{n}/savepoint-ab-c{n}" for n in (1, 2))
SNAPSHOTS = tuple(Snapshot(SnapshotKind.SAVEPOINT, path, 1, n, f"t{n}") for n, path in enumerate(PATHS))
FIRST = SNAPSHOTS[0]


def deleted() -> JobEntry:
    record = Record("old", "u", SpecRef(1, 0), Lifecycle.DELETING, spec=spec(), snapshots=SNAPSHOTS)
    return JobEntry("old", gone=True, record=record)


def other(data: bytes = b"{}", **fields: Any) -> JobEntry:
    record = Record("new", "v", SpecRef(2, 0), spec=spec(), **fields)
    return JobEntry("new", raw=RawSpec("new", SpecRef(2, 0), data), record=record)


def look(entry: JobEntry, *others: JobEntry) -> frozenset[str] | None:
    return referenced(entry, {each.name: each for each in (entry, *others)})


def test_nobody_refers_to_them() -> None:
    assert (
        look(deleted(), other(b'{"job": {"initialSavepointPath": "file:///srv/sp/x/savepoint-ff-ff"}}')) == frozenset()
    )


@pytest.mark.parametrize(
    "written",
    [
        f'{{"job": {{"initialSavepointPath": "{PATHS[0]}"}}}}',
        f'{{"job": {{"initialSavepointPath": "{PATHS[0].replace("file:", "file://")}/_metadata"}}}}',
        f"not json at all, but {PATHS[0]}",
    ],
)
def test_a_desired_state_that_names_one_in_any_form_refers_to_it_valid_or_not(written: str) -> None:
    assert look(deleted(), other(written.encode())) == {PATHS[0]}


GENERATION = Generation(1, spec(), "job", "cluster", 0.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"generation": replace(GENERATION, restore=FIRST)},
        {"generation": replace(GENERATION, ending=Ending(EndReason.UPGRADE, EndMode.KILL, 0.0, restore=FIRST))},
        {"generation": replace(GENERATION, spec=spec(job={"initialSavepointPath": PATHS[0]}))},
        {"resume": FIRST},
        {"snapshots": (FIRST,)},
    ],
)
def test_a_record_that_names_one_refers_to_it(fields: dict[str, Any]) -> None:
    assert look(deleted(), other(**fields)) == {PATHS[0]}


def test_f12_a_record_that_cannot_be_read_may_refer_to_all_of_them() -> None:
    broken = JobEntry("broken", quarantined="not JSON")

    assert look(deleted(), broken) == set(PATHS)


def test_f51_a_new_node_under_the_same_name_counts_and_the_old_one_does_not() -> None:
    data = f'{{"job": {{"initialSavepointPath": "{PATHS[1]}"}}}}'.encode()
    entry = deleted()
    entry.raw = RawSpec("old", SpecRef(1, 5), data)
    assert look(entry) == frozenset()

    entry.raw = RawSpec("old", SpecRef(9, 0), data)
    assert look(entry) == {PATHS[1]}


def test_of_a_job_that_is_not_being_deleted_nothing_is_said() -> None:
    entry = other(snapshots=SNAPSHOTS)

    assert look(entry) is None
