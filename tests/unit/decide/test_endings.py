"""Ending a generation: upgrade, suspend, restart; what makes it end and what the next one waits for."""

from __future__ import annotations

from reconciler.model.decision import CancelJob, CleanUpGeneration, KillTask, StopWithSavepoint
from reconciler.model.observation import JobState, Operation, OperationState, TaskState
from reconciler.model.record import EndMode, Lifecycle, Role
from tests.unit.decide.scenario import Scenario, effects, spec


def test_an_upgrade_stops_with_a_savepoint_and_starts_from_it() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    (stop,) = effects(job.settle(), StopWithSavepoint)
    ending = job.generation.ending
    assert ending is not None
    assert stop.trigger_id == ending.trigger_id
    assert stop.trigger_id in stop.directory
    assert job.generation.number == 1
    job.stopped("file:///srv/sp-1")
    decision = job.step()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"
    assert job.generation.spec.job.parallelism == 2
    assert {task.generation for task in decision.wanted()} == {2}
    assert len(effects(decision, KillTask)) == 2


def test_ids_are_unique_per_generation() -> None:
    job = Scenario()
    job.bring_up()
    first = job.generation
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    job.stopped()
    job.settle()
    assert job.generation.job_id != first.job_id
    assert job.generation.cluster_id != first.cluster_id


def test_f27_s1_the_next_generation_waits_for_an_end_that_is_proved() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state", "parallelism": 2}))
    decision = job.settle()
    (jobmanager,) = job.of(Role.JOB_MANAGER)
    assert jobmanager.task_id in {kill.task_id for kill in effects(decision, KillTask)}
    job.mesos(jobmanager, TaskState.UNREACHABLE)
    job.silent()
    job.now += 3600
    job.settle()
    assert job.of(Role.JOB_MANAGER)[0].task_id == jobmanager.task_id, "an unreachable JobManager counts as alive"
    assert job.generation.number == 1
    job.mesos(jobmanager, TaskState.KILLED)
    job.settle()
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-12", checkpoint_id=12)
    job.settle()
    assert job.generation.number == 2


def test_f48_a_spec_that_changes_during_the_upgrade_is_the_one_that_starts() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    job.edit(spec(restartNonce=1, job={"parallelism": 4}))
    job.settle()
    job.stopped()
    job.settle()
    assert job.generation.number == 2
    assert job.generation.spec.job.parallelism == 4


def test_a_failed_stop_is_tried_again_with_a_trigger_of_its_own() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    (first,) = effects(job.settle(), StopWithSavepoint)
    job.answer(JobState.RUNNING, operations={first.trigger_id: Operation(OperationState.FAILED, None, "disk full")})
    job.step()
    job.now += job.policy.stop_retry_s
    job.answer(JobState.RUNNING)
    (second,) = effects(job.settle(), StopWithSavepoint)
    assert second.trigger_id != first.trigger_id
    assert job.generation.number == 1


def test_a_failed_stop_that_nobody_wants_any_more_is_abandoned() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    (stop,) = effects(job.settle(), StopWithSavepoint)
    job.edit(spec())
    job.answer(JobState.RUNNING, operations={stop.trigger_id: Operation(OperationState.FAILED, None, "disk full")})
    job.settle()
    assert job.generation.ending is None
    assert job.generation.number == 1


def test_a_stop_whose_jobmanager_dies_goes_on_from_the_newest_state() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    job.settle()
    job.found(ha_metadata=True, checkpoint_path="chk-11", checkpoint_id=11, savepoints=((12, "file:///srv/sp-1"),))
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"


def test_a_job_that_cannot_run_is_upgraded_from_its_checkpoints() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.RESTARTING)
    job.edit(spec(job={"uri": "file:///srv/fixed.py"}))
    assert effects(job.settle(), StopWithSavepoint) == []
    job.now += job.policy.stop_patience_s
    job.answer(JobState.RESTARTING)
    decision = job.settle()
    assert len(effects(decision, KillTask)) == 2
    assert job.generation.ending is not None
    assert job.generation.ending.mode is EndMode.KILL


def test_stateless_cancels_and_starts_empty_because_the_spec_says_so() -> None:
    job = Scenario(spec(job={"upgradeMode": "stateless"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "stateless", "parallelism": 2}))
    assert len(effects(job.settle(), CancelJob)) == 1
    job.answer(JobState.CANCELED)
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is None


def test_suspend_keeps_the_state_and_resume_starts_from_it() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"state": "suspended"}))
    job.settle()
    job.stopped("file:///srv/sp-1")
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.SUSPENDED
    assert job.record.generation is None
    job.bury_killed()
    job.settle()
    assert job.record.tasks == ()
    job.edit(spec())
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"


def test_f56_a_failed_job_restarts_from_its_newest_state_after_the_back_off() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.FAILED, failure="java.lang.IllegalStateException: boom")
    job.settle()
    job.found(ha_metadata=False, checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    decision = job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/chk-9"
    assert all(task.not_before > job.now for task in decision.wanted())


def test_f61_the_job_result_stays_until_every_task_of_the_generation_is_dead() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    job.stopped()
    decision = job.settle()
    assert effects(decision, CleanUpGeneration) == []
    job.bury_killed()
    (cleanup,) = effects(job.settle(), CleanUpGeneration)
    assert cleanup.generation == 1


def test_nobody_waited_while_nobody_operated() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1))
    job.settle()
    job.silent()
    job.now += 3600
    job.since = job.now
    job.settle()
    assert job.generation.ending is not None
    assert job.generation.ending.mode is EndMode.SAVEPOINT
    job.now += 61
    job.settle()
    assert job.generation.ending.mode is EndMode.KILL


def test_f42_the_savepoint_is_on_record_with_the_decision_that_kills() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1))
    job.settle()
    job.stopped("file:///srv/sp-1")
    decision = job.step()
    assert effects(decision, KillTask)
    assert job.record is not None
    assert "file:///srv/sp-1" in [snapshot.path for snapshot in job.record.snapshots]
    assert "SAVEPOINT_COMPLETED" in job.events
