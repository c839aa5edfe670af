"""Deleting a job, and creating it again under the same name."""

from __future__ import annotations

from reconciler.model.decision import CancelJob, CleanUpGeneration, Desired, StopWithSavepoint
from reconciler.model.record import Lifecycle, SpecRef
from tests.unit.decide.scenario import Scenario, acting, effects, spec


def test_delete_takes_a_savepoint_ends_everything_and_leaves_a_tombstone() -> None:
    job = Scenario()
    job.bring_up()
    job.remove()
    assert len(effects(job.settle(), StopWithSavepoint)) == 1
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.DELETING
    job.stopped("file:///srv/sp-1")
    job.settle()
    job.bury_killed()
    decision = job.settle()
    (cleanup,) = effects(decision, CleanUpGeneration)
    job.cleaned = frozenset({cleanup.job_id})
    job.settle()
    assert job.record.lifecycle is Lifecycle.DELETED
    assert job.record.tasks == ()
    (stone,) = job.record.tombstones
    assert stone.path == "file:///srv/sp-1"


def test_delete_with_cancel_takes_no_savepoint() -> None:
    job = Scenario(spec(onDelete="cancel"))
    job.bring_up()
    job.remove()
    decision = job.settle()
    assert effects(decision, StopWithSavepoint) == []
    assert len(effects(decision, CancelJob)) == 1


def test_delete_with_keep_leaves_the_tasks_running() -> None:
    job = Scenario(spec(onDelete="keep"))
    job.bring_up()
    job.remove()
    decision = job.settle()
    assert acting(decision) == []


def test_f51_a_recreated_name_is_another_job_and_starts_empty() -> None:
    job = Scenario()
    job.bring_up()
    uid = job.generation.cluster_id
    job.desired = Desired("orders", present=True, ref=SpecRef(200, 0), spec=spec())
    job.settle()
    job.stopped()
    job.settle()
    job.bury_killed()
    (cleanup,) = effects(job.settle(), CleanUpGeneration)
    job.cleaned = frozenset({cleanup.job_id})
    job.settle()
    assert job.generation.number == 1
    assert job.generation.cluster_id != uid
    assert job.generation.restore is None
