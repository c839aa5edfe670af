"""Faults 38 to 63 where deciding is the guard, one by one; what is here is not in the other files yet."""

from __future__ import annotations

from reconciler.model.decision import (
    DisposeSavepoint,
    FindRestorePoint,
    KillTask,
    ReconcileTask,
    StopWithSavepoint,
    TriggerSavepoint,
)
from reconciler.model.observation import LIVING, JobState, Operation, OperationState, RestoreView, TaskState
from reconciler.model.record import Lifecycle, Role
from tests.unit.decide.scenario import Operation_completed, Scenario, acting, effects, spec


def upgrading(**changes: object) -> Scenario:
    """A job whose upgrade has just begun."""
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, **changes))
    job.settle()
    return job


def test_f38_until_flink_shows_it_the_same_savepoint_is_asked_for_again_and_again() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"savepointTriggerNonce": 1}))
    asked = set()
    for _ in range(5):
        job.now += 5
        job.answer(JobState.RUNNING, completed_checkpoints=9)
        asked |= {effect.trigger_id for effect in effects(job.settle(), TriggerSavepoint)}
    assert len(asked) == 1


def test_f38_until_flink_shows_it_the_same_stop_is_asked_for_again_and_again() -> None:
    job = upgrading()
    asked = set()
    for _ in range(5):
        job.now += 5
        job.answer(JobState.RUNNING, completed_checkpoints=9)
        asked |= {effect.trigger_id for effect in effects(job.settle(), StopWithSavepoint)}
    assert len(asked) == 1


def test_f40_a_savepoint_that_a_restarted_jobmanager_does_not_know_is_triggered_anew_under_the_same_id() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"savepointTriggerNonce": 1}))
    (first,) = effects(job.settle(), TriggerSavepoint)
    job.answer(JobState.RUNNING, completed_checkpoints=9, operations={first.trigger_id: unknown()})
    assert effects(job.settle(), TriggerSavepoint) == [first]


def unknown() -> Operation:
    return Operation(OperationState.UNKNOWN)


def test_f41_the_path_in_a_failed_stop_is_used_although_no_listing_shows_it() -> None:
    job = upgrading()
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "StopWithSavepointStoppingException", 11)
    job.answer(JobState.FAILED, operations={job.trigger: failed})
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    job.settle()
    assert job.restored_from == "file:///srv/sp-1"


def test_f42_a_savepoint_is_on_record_in_the_very_decision_that_kills_what_made_it() -> None:
    job = upgrading()
    job.stopped("file:///srv/sp-1")
    killed = False
    for _ in range(5):
        decision = job.step()
        if effects(decision, KillTask):
            killed = True
            assert decision.record is not None
            assert "file:///srv/sp-1" in [snapshot.path for snapshot in decision.record.snapshots]
            assert job.restored_from == "file:///srv/sp-1"
    assert killed


def test_f43_a_restore_point_that_is_missing_blocks_at_the_end_of_a_generation_too() -> None:
    job = upgrading()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    job.settle()
    job.found(savepoints=((12, "file:///srv/sp-1"),), missing=("file:///srv/sp-1",))
    decision = job.settle()
    assert job.blocked == "RESTORE_BLOCKED"
    assert job.generation.number == 1
    assert decision.wanted() == ()


def test_f44_after_a_stop_that_failed_the_job_ran_on_and_its_checkpoint_is_the_newest() -> None:
    job = upgrading()
    first = job.trigger
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "the stop failed", 11)
    job.answer(JobState.RUNNING, completed_checkpoints=9, operations={first: failed})
    job.settle()
    job.now += 60
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    job.settle()
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-30", checkpoint_id=30)
    job.settle()
    assert job.generation.number == 2
    assert job.restored_from == "file:///srv/chk-30"


def test_f45_last_state_without_metadata_and_checkpoints_blocks_and_says_how_to_go_on() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state"}))
    job.settle()
    job.bury_killed()
    job.settle()
    job.found(ha_metadata=False)
    decision = job.settle()
    assert job.record is not None
    assert (job.record.lifecycle, job.record.blocked) == (Lifecycle.BLOCKED, "RESTORE_BLOCKED")
    assert job.generation.number == 1
    assert decision.wanted() == ()
    assert "job.initialSavepointPath" in decision.why
    assert "stateless" in decision.why


def test_f46_a_jobmanager_that_does_not_list_the_job_yet_has_not_lost_it() -> None:
    job = Scenario()
    job.bring_up()
    before = job.generation.number
    job.answer(None)
    job.now += 600
    job.answer(None)
    decision = job.settle()
    assert [effect for effect in acting(decision) if not isinstance(effect, ReconcileTask)] == []
    assert decision.wanted() == ()
    assert job.generation.number == before
    assert job.generation.terminal is None


def test_f47_an_end_that_was_seen_is_on_record_when_the_jobmanager_is_gone() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.FINISHED)
    job.step()
    assert job.generation.terminal == "FINISHED"
    job.flink = None
    for role in (Role.JOB_MANAGER, Role.TASK_MANAGER):
        job.mesos(job.of(role)[0], TaskState.FAILED)
    decision = job.settle()
    assert decision.wanted() == ()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.FINISHED


def test_f47_an_end_that_nobody_saw_is_read_from_the_job_result_store() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    job.settle()
    job.found(terminal="FINISHED")
    decision = job.settle()
    assert decision.wanted() == ()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.FINISHED


def test_f53_a_savepoint_that_the_generation_started_from_stays() -> None:
    keep = {"maxCount": 1, "maxAge": "1h"}
    job = Scenario(spec(snapshots=keep))
    job.bring_up()
    job.edit(spec(restartNonce=1, snapshots=keep))
    job.settle()
    job.stopped("file:///srv/origin")
    job.settle()
    job.bury_killed()
    job.place()
    job.run_tasks()
    disposed: set[str] = set()
    for number in range(1, 4):
        job.now += 60
        job.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=number)
        job.settle()
        job.edit(spec(restartNonce=1, snapshots=keep, job={"savepointTriggerNonce": number}))
        (trigger,) = effects(job.settle(), TriggerSavepoint)
        done = {trigger.trigger_id: Operation_completed(f"file:///srv/sp-{number}")}
        job.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=number, operations=done)
        disposed |= {effect.path for effect in effects(job.settle(), DisposeSavepoint)}
    assert disposed == {"file:///srv/sp-1", "file:///srv/sp-2"}


def test_f54_at_the_end_of_a_generation_silence_is_not_an_answer_either() -> None:
    job = upgrading(job={"upgradeMode": "last-state"})
    job.bury_killed()
    job.settle()
    job.found()
    assert job.restore is not None
    job.restore = type(job.restore)(1, answered=False, error="ZooKeeper did not answer")
    decision = job.step()
    assert len(effects(decision, FindRestorePoint)) == 1
    assert job.generation.number == 1
    assert job.record is not None
    assert job.record.blocked is None


def test_f62_what_was_read_before_the_death_is_not_believed() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state"}))
    job.settle()
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-12", checkpoint_id=12)
    job.step()
    assert job.generation.number == 1
    job.bury_killed()
    assert len(effects(job.settle(), FindRestorePoint)) == 1
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-17", checkpoint_id=17)
    job.settle()
    assert job.restored_from == "file:///srv/chk-17"


def test_f62_a_look_that_was_made_for_a_move_is_not_believed_after_the_death() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.restore = RestoreView(
        LIVING, True, job.generation.job_id, True, checkpoint_path="file:///srv/chk-12", checkpoint_id=12
    )
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state"}))
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    (look,) = effects(job.step(), FindRestorePoint)
    assert look.generation == job.generation.number == 1


def test_f63_the_directory_of_the_stop_is_listed_when_its_jobmanager_is_dead() -> None:
    job = upgrading()
    ending = job.generation.ending
    assert ending is not None
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    (look,) = effects(job.settle(), FindRestorePoint)
    assert look.trigger_directories == (ending.directory,)
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9, savepoints=((10, "file:///srv/sp-1"),))
    job.settle()
    assert job.restored_from == "file:///srv/sp-1"


def test_f63_the_directory_of_a_savepoint_by_hand_is_listed_too() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"savepointTriggerNonce": 1}))
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    job.answer(JobState.FAILED)
    (look,) = effects(job.settle(), FindRestorePoint)
    assert look.trigger_directories == (trigger.directory,)


def test_f63_a_savepoint_by_hand_is_looked_for_beside_the_one_of_the_stop() -> None:
    wanted = {"upgradeMode": "savepoint", "savepointTriggerNonce": 1}
    job = Scenario(spec(job={"upgradeMode": "savepoint"}))
    job.bring_up()
    job.edit(spec(job=wanted))
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    failed = {trigger.trigger_id: Operation(OperationState.FAILED, error="no space left")}
    job.answer(JobState.RUNNING, operations=failed)
    job.settle()
    job.edit(spec(restartNonce=1, job=wanted))
    job.settle()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.flink = None
    (look,) = effects(job.settle(), FindRestorePoint)
    stop, asked = look.trigger_directories
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9, savepoints=((8, f"{asked}/savepoint-1"),))
    job.settle()
    assert job.record is not None
    (found,) = [snapshot for snapshot in job.record.snapshots if snapshot.path.startswith(asked)]
    assert asked.endswith(found.trigger_id or "?")
    assert not stop.endswith(found.trigger_id or "?")
    assert job.restored_from == "file:///srv/chk-9"
