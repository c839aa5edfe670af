"""What a generation starts from: the newest state, or nothing that is older (S2)."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.decision import FindRestorePoint
from reconciler.model.observation import JobState, Operation, OperationState, TaskState
from reconciler.model.record import Lifecycle, Role
from tests.unit.decide.scenario import Scenario, effects, spec


def test_without_ha_metadata_the_next_generation_takes_the_newest_checkpoint() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(ha_metadata=False, checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/chk-9"


def test_f54_zookeeper_that_does_not_answer_is_not_missing_metadata() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found()
    assert job.restore is not None
    job.restore = replace(job.restore, answered=False)
    decision = job.step()
    assert decision.wanted() == ()
    assert job.generation.number == 1
    assert len(effects(decision, FindRestorePoint)) == 1


def test_f45_without_ha_metadata_and_checkpoints_a_job_is_blocked() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(ha_metadata=False)
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.BLOCKED
    assert job.record.blocked == "RESTORE_BLOCKED"
    assert "initialSavepointPath" in job.record.blocked_why
    assert decision.wanted() == ()


def test_f62_last_state_takes_the_checkpoint_that_is_newest_after_the_death() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state", "parallelism": 2}))
    job.settle()
    job.bury_killed()
    assert len(effects(job.settle(), FindRestorePoint)) == 1
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-17", checkpoint_id=17)
    job.settle()
    assert job.restored_from == "file:///srv/chk-17"


def test_f41_a_stop_that_failed_after_its_savepoint_uses_that_savepoint() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "StopWithSavepointStoppingException")
    job.answer(JobState.FAILED, operations={job.trigger: failed})
    job.settle()
    job.found(ha_metadata=False, checkpoint_path="chk-9", checkpoint_id=9, savepoints=((11, "file:///srv/sp-1"),))
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/sp-1"


def test_f41_the_path_that_a_failed_stop_names_is_used_without_listing() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1))
    job.settle()
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "StopWithSavepointStoppingException")
    job.answer(JobState.FAILED, latest_checkpoint_id=9, operations={job.trigger: failed})
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    job.settle()
    assert job.restored_from == "file:///srv/sp-1"


def test_f44_a_checkpoint_newer_than_the_savepoint_wins() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "the stop failed")
    job.answer(JobState.FAILED, operations={job.trigger: failed})
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-30", checkpoint_id=30, savepoints=((11, "file:///srv/sp-1"),))
    job.settle()
    assert job.restored_from == "file:///srv/chk-30"


def test_f43_a_missing_savepoint_blocks_and_putting_it_back_goes_on() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    job.stopped("file:///srv/sp-1")
    job.settle()
    job.bury_killed()
    job.place()
    job.settle()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(missing=("file:///srv/sp-1",))
    assert [task.role for task in job.settle().wanted()] == []
    assert job.blocked == "RESTORE_BLOCKED"
    assert "file:///srv/sp-1" in job.record.blocked_why
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    assert job.record.blocked is None
    assert job.restored_from == "file:///srv/sp-1"


def lost_state() -> Scenario:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.blocked == "RESTORE_BLOCKED"
    return job


def test_a_person_may_say_where_to_start_from_when_the_newest_state_is_lost() -> None:
    job = lost_state()
    job.edit(spec(job={"initialSavepointPath": "file:///srv/rescued"}))
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/rescued"


def test_a_person_may_say_to_start_empty_when_the_newest_state_is_lost() -> None:
    job = lost_state()
    job.edit(spec(job={"upgradeMode": "stateless"}))
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is None


def test_an_initial_savepoint_path_that_is_edited_later_does_not_rewind_a_job_whose_state_is_there() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"initialSavepointPath": "file:///srv/old"}))
    job.settle()
    job.stopped("file:///srv/sp-1")
    job.settle()
    assert job.restored_from == "file:///srv/sp-1"


def test_f43_a_missing_savepoint_blocks_the_next_generation() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state"}))
    job.settle()
    job.bury_killed()
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9, missing=("file:///srv/chk-9",))
    job.settle()
    assert job.generation.number == 1
    assert job.blocked == "RESTORE_BLOCKED"


def test_f63_the_directory_of_the_trigger_is_looked_into() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1))
    job.settle()
    ending = job.generation.ending
    assert ending is not None
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    (look,) = effects(job.settle(), FindRestorePoint)
    assert look.trigger_directories == (ending.directory,)
