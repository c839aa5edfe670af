"""`snapshots.disposeOnDelete`: what goes with a deleted job, and what must stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import decide_disposal
from reconciler.model.decision import CleanUpGeneration, Decision, Desired, DiscardSavepoint
from reconciler.model.record import Lifecycle, Record, Snapshot, SnapshotKind, SpecRef
from tests.unit.decide.scenario import Scenario, effects, spec


class Deleted(Scenario):
    """A job with three savepoints of its own, one that somebody brought along and a checkpoint, all tasks dead."""

    def __init__(self, on_delete: str = "savepoint", dispose: bool = True, **more: Any) -> None:
        super().__init__(spec(onDelete=on_delete, snapshots={"disposeOnDelete": dispose}))
        self.referenced: frozenset[str] | None = frozenset()
        self.disposed: frozenset[str] = frozenset()
        self.bring_up()
        uid = self.the_record.uid
        self.own = [f"file:///srv/sp/{uid}/1/trigger{n}/savepoint-ab-{n}" for n in (1, 2, 3)]
        mine = [Snapshot(SnapshotKind.SAVEPOINT, path, 1, n + 1, f"trigger{n + 1}") for n, path in enumerate(self.own)]
        told = Snapshot(SnapshotKind.SAVEPOINT, "file:///elsewhere/savepoint-cd-1", 0, 0, reason="told")
        checkpoint = Snapshot(SnapshotKind.CHECKPOINT, "file:///srv/1/chk-2", 1, 2)
        self.record = replace(
            self.the_record, snapshots=(told, checkpoint, *mine), generation=None, tasks=(), savepoint=None
        )
        self.remove()

    @property
    def the_record(self) -> Record:
        assert self.record is not None
        return self.record

    def observation(self) -> Any:
        return replace(super().observation(), referenced=self.referenced, disposed=self.disposed)

    def discarded(self, decision: Decision) -> list[str]:
        return [effect.path for effect in effects(decision, DiscardSavepoint)]

    def paths(self) -> set[str]:
        return {snapshot.path for snapshot in self.the_record.snapshots}


def test_all_but_the_final_savepoint_are_removed_and_the_tombstone_points_at_that() -> None:
    job = Deleted()

    asked = job.discarded(job.settle())
    assert asked == job.own[:2]
    assert set(asked) <= set(job.the_record.disposing)
    assert job.the_record.lifecycle is Lifecycle.DELETING

    job.disposed = frozenset(asked)
    job.settle()
    assert job.the_record.lifecycle is Lifecycle.DELETED
    assert job.the_record.tombstones[-1].path == job.own[2]
    assert not job.paths() & set(asked)


def test_with_cancel_every_own_savepoint_is_removed_and_the_tombstone_points_at_nothing() -> None:
    job = Deleted("cancel")

    assert job.discarded(job.settle()) == job.own

    job.disposed = frozenset(job.own)
    job.settle()
    assert job.the_record.lifecycle is Lifecycle.DELETED
    assert job.the_record.tombstones[-1].path is None
    assert job.paths() == {"file:///elsewhere/savepoint-cd-1", "file:///srv/1/chk-2"}


def test_the_intent_is_persisted_with_the_decision_that_removes() -> None:
    job = Deleted()
    job.referenced = None
    job.settle()
    before = job.the_record
    job.referenced = frozenset()

    decision = job.step()

    assert before.disposing == ()
    assert set(job.discarded(decision)) <= set(job.the_record.disposing)


def test_what_another_job_refers_to_stays() -> None:
    job = Deleted("cancel")
    job.referenced = frozenset({job.own[0]})

    decision = job.step()
    assert job.discarded(decision) == job.own[1:]
    assert "SAVEPOINTS_REMOVED" in job.events

    job.disposed = frozenset(job.own[1:])
    job.settle()
    assert job.the_record.lifecycle is Lifecycle.DELETED
    assert job.own[0] in job.paths()


def test_while_nobody_has_looked_for_references_nothing_is_removed() -> None:
    job = Deleted()
    job.referenced = None

    decision = job.settle()

    assert job.discarded(decision) == []
    assert job.the_record.lifecycle is Lifecycle.DELETING


def test_a_reference_that_appears_while_others_are_removed_is_respected() -> None:
    job = Deleted("cancel")
    job.step()
    job.referenced = frozenset({job.own[2]})

    assert job.discarded(job.step()) == job.own[:2]


def test_without_the_field_nothing_is_removed() -> None:
    job = Deleted(dispose=False)

    assert job.discarded(job.step()) == []
    assert job.the_record.lifecycle is Lifecycle.DELETED
    assert len(job.paths()) == 5


def test_nothing_is_removed_while_a_task_may_live() -> None:
    job = Scenario(spec(onDelete="cancel", snapshots={"disposeOnDelete": True}))
    job.bring_up()
    path = f"file:///srv/sp/{job.record.uid}/1/t/savepoint-ab-1"  # type: ignore[union-attr]
    assert job.record is not None
    job.record = replace(job.record, snapshots=(Snapshot(SnapshotKind.SAVEPOINT, path, 1, 1, "t"),))
    job.remove()
    while job.record.lifecycle is not Lifecycle.DELETED and job.record.tasks:
        decision = job.settle()
        assert effects(decision, DiscardSavepoint) == []
        job.now += 31
        job.silent()
        job.bury_killed()
        job.step()
    assert job.record.lifecycle is Lifecycle.DELETING
    (cleanup,) = effects(job.settle(), CleanUpGeneration)
    assert effects(job.settle(), DiscardSavepoint) == []
    job.cleaned = frozenset({cleanup.job_id})


def test_storage_that_does_not_answer_is_asked_again_but_not_for_ever() -> None:
    job = Deleted()
    for _ in range(3):
        assert job.discarded(job.settle()) == job.own[:2]
        job.now += 60
    job.now += decide_disposal.PATIENCE_S

    job.settle()

    assert job.the_record.lifecycle is Lifecycle.DELETED
    assert "SAVEPOINTS_KEPT" in job.events
    assert job.the_record.tombstones[-1].path == job.own[2]


@pytest.mark.parametrize(
    "path",
    [
        "file:///srv/sp/another-uid/1/trigger9/savepoint-ab-9",
        "file:///srv/sp/UID/1/other-trigger/savepoint-ab-9",
        "file:///srv/sp/UID/2/trigger9/savepoint-ab-9",
        "file:///srv/sp/UID/1/trigger9",
        "file:///srv/sp/UID/1/trigger9/other",
    ],
)
def test_only_what_lies_in_the_directory_of_its_own_trigger_is_removed(path: str) -> None:
    job = Deleted("cancel")
    path = path.replace("UID", job.the_record.uid)
    strange = Snapshot(SnapshotKind.SAVEPOINT, path, 1, 0, "trigger9")
    job.record = replace(job.the_record, snapshots=(strange, *job.the_record.snapshots))

    assert path not in job.discarded(job.settle())


def test_f51_the_new_life_of_a_name_begins_when_the_savepoints_of_the_old_one_are_gone() -> None:
    job = Deleted()
    uid = job.the_record.uid
    job.desired = Desired("orders", present=True, ref=SpecRef(200, 0), spec=spec())
    assert job.discarded(job.settle()) == job.own[:2]
    assert job.the_record.uid == uid

    job.disposed = frozenset(job.own)
    job.settle()

    assert job.the_record.uid != uid
    assert job.generation.restore is None
    assert job.the_record.disposing == ()
