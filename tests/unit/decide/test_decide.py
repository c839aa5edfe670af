"""What `decide` does with one job: start, keep running, upgrade, suspend, delete."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.decision import (
    CancelJob,
    CleanUpGeneration,
    Desired,
    FindRestorePoint,
    KillTask,
    ReconcileTask,
    StopWithSavepoint,
)
from reconciler.model.observation import JobState, Operation, OperationState, TaskState
from reconciler.model.record import EndMode, Lifecycle, Role, SpecRef
from tests.unit.decide.scenario import Scenario, acting, effects, spec


def test_a_new_job_wants_one_jobmanager_and_enough_taskmanagers() -> None:
    job = Scenario(spec(job={"parallelism": 5}))
    decision = job.step()
    assert [task.role for task in decision.wanted()].count(Role.JOB_MANAGER) == 1
    assert [task.role for task in decision.wanted()].count(Role.TASK_MANAGER) == 3
    assert job.generation.restore is None
    assert acting(decision) == []


def test_an_invalid_first_version_starts_nothing() -> None:
    job = Scenario()
    job.desired = Desired("orders", present=True, ref=SpecRef(100, 0), spec=None, error="job.uri: missing")
    assert job.step().record is None


def test_a_job_becomes_stable_only_after_its_first_checkpoint_and_the_wait() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(JobState.RUNNING)
    job.settle()
    job.now += 60
    job.answer(JobState.RUNNING)
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.DEPLOYED
    assert "first checkpoint" in decision.why
    job.answer(JobState.RUNNING, completed_checkpoints=1)
    job.settle()
    assert job.record.lifecycle is Lifecycle.STABLE


def test_a_stable_job_is_left_in_peace() -> None:
    job = Scenario()
    job.bring_up()
    assert acting(job.step()) == []
    assert job.step().why == "running and stable"


def test_nothing_is_decided_before_mesos_has_answered_for_every_task() -> None:
    job = Scenario()
    job.bring_up()
    job.complete = False
    job.remove()
    before = job.record
    decision = job.step()
    assert decision.record == before
    assert decision.effects == ()


def test_a_lost_taskmanager_is_replaced_in_the_same_generation_after_its_back_off() -> None:
    job = Scenario()
    job.bring_up()
    lost = job.of(Role.TASK_MANAGER)[0]
    job.mesos(lost, TaskState.FAILED)
    decision = job.settle()
    (new,) = decision.wanted()
    assert (new.role, new.index, new.generation) == (Role.TASK_MANAGER, lost.index, lost.generation)
    assert new.attempt > lost.attempt
    assert 0.9 <= new.not_before - job.now <= 1.1
    assert job.record is not None
    assert job.record.restarts.attempt == 1


def test_f29_a_launch_that_never_happened_is_not_charged() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.DROPPED, "REASON_INVALID_OFFERS")
    decision = job.settle()
    assert job.record is not None
    assert job.record.restarts.total == 0
    assert [task.role for task in decision.wanted()] == [Role.TASK_MANAGER]


def test_failures_in_a_row_wait_longer_and_longer() -> None:
    job = Scenario()
    job.bring_up()
    waits = []
    for _ in range(8):
        job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
        (new,) = job.settle().wanted()
        waits.append(new.not_before - job.now)
        job.now += waits[-1]
        job.place()
        job.run_tasks()
        job.settle()
    assert waits == sorted(waits) or max(waits) > 50
    assert waits[0] < 2
    assert all(wait <= 66 for wait in waits)


@pytest.mark.parametrize("state", [TaskState.UNREACHABLE, TaskState.LOST, TaskState.UNKNOWN])
def test_an_unreachable_taskmanager_is_waited_for_and_then_replaced(state: TaskState) -> None:
    job = Scenario()
    job.bring_up()
    gone = job.of(Role.TASK_MANAGER)[0]
    job.mesos(gone, state)
    assert job.settle().wanted() == ()
    job.now += job.policy.lost_grace_s
    job.answer(JobState.RESTARTING)
    (new,) = job.settle().wanted()
    assert new.index == gone.index
    assert gone in job.of(Role.TASK_MANAGER), "silence is not death: the old attempt stays on record"


def test_a_replaced_attempt_that_turns_out_dead_is_charged_only_once() -> None:
    job = Scenario()
    job.bring_up()
    gone = job.of(Role.TASK_MANAGER)[0]
    job.mesos(gone, TaskState.UNREACHABLE)
    job.now += job.policy.lost_grace_s
    job.settle()
    job.mesos(gone, TaskState.GONE)
    job.settle()
    assert job.record is not None
    assert job.record.restarts.total == 1


def test_f20_a_taskmanager_that_comes_back_before_its_replacement_runs_cancels_it() -> None:
    job = Scenario()
    job.bring_up()
    gone = job.of(Role.TASK_MANAGER)[0]
    job.mesos(gone, TaskState.UNREACHABLE)
    job.now += job.policy.lost_grace_s
    job.settle()
    job.mesos(gone, TaskState.RUNNING)
    job.answer(JobState.RUNNING)
    decision = job.settle()
    assert decision.wanted() == ()
    assert [task.task_id for task in job.of(Role.TASK_MANAGER)] == [gone.task_id]


def test_f20_of_two_live_taskmanagers_the_one_without_slots_is_killed() -> None:
    job = Scenario()
    job.bring_up()
    old = job.of(Role.TASK_MANAGER)[0]
    job.mesos(old, TaskState.UNREACHABLE)
    job.now += job.policy.lost_grace_s
    job.settle()
    job.place()
    new = next(task for task in job.of(Role.TASK_MANAGER) if task.task_id != old.task_id)
    job.mesos(new, TaskState.RUNNING)
    job.mesos(old, TaskState.RUNNING)
    job.answer(JobState.RUNNING, busy_task_managers=frozenset({new.task_id}))
    killed = effects(job.settle(), KillTask)
    assert [kill.task_id for kill in killed] == [old.task_id]


def test_a_lost_jobmanager_is_relaunched_only_after_a_look_at_its_ha_metadata() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    decision = job.settle()
    assert decision.wanted() == ()
    assert len(effects(decision, FindRestorePoint)) == 1
    job.found(ha_metadata=True, checkpoint_path="chk-9", checkpoint_id=9)
    (new,) = job.settle().wanted()
    assert new.role is Role.JOB_MANAGER
    assert new.generation == 1


def test_without_ha_metadata_the_next_generation_takes_the_newest_checkpoint() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(ha_metadata=False, checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/chk-9"


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


def test_lost_checkpoints_block_instead_of_starting_empty() -> None:
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


def test_f46_a_silent_jobmanager_is_reconciling_and_nothing_is_restarted() -> None:
    job = Scenario()
    job.bring_up()
    job.silent()
    job.settle()
    job.now += 600
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.RECONCILING
    assert acting(decision) == []
    assert decision.wanted() == ()


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
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/sp-1"
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


def test_s1_the_next_generation_waits_for_an_end_that_is_proved() -> None:
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
    assert job.generation.number == 1, "an unreachable JobManager counts as alive"
    job.mesos(jobmanager, TaskState.KILLED)
    job.settle()
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-12", checkpoint_id=12)
    job.settle()
    assert job.generation.number == 2


def test_f62_last_state_takes_the_checkpoint_that_is_newest_after_the_death() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "last-state", "parallelism": 2}))
    job.settle()
    job.bury_killed()
    assert len(effects(job.settle(), FindRestorePoint)) == 1
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-17", checkpoint_id=17)
    job.settle()
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/chk-17"


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


def test_f49_a_change_that_was_taken_back_unseen_has_no_effect() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.edit(spec())
    decision = job.settle()
    assert acting(decision) == []
    assert job.record is not None
    assert job.record.seen.version == 2


def test_f50_an_invalid_edit_leaves_the_job_as_it_is() -> None:
    job = Scenario()
    job.bring_up()
    job.desired = Desired("orders", present=True, ref=SpecRef(100, 1), spec=None, error="job.parallelism: not a number")
    before = job.record
    assert acting(job.step()) == []
    assert job.record == before


def test_f41_a_stop_that_failed_after_its_savepoint_uses_that_savepoint() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    ending = job.generation.ending
    assert ending is not None
    assert ending.trigger_id is not None
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "StopWithSavepointStoppingException")
    job.answer(JobState.FAILED, operations={ending.trigger_id: failed})
    job.settle()
    job.found(ha_metadata=False, checkpoint_path="chk-9", checkpoint_id=9, savepoints=((11, "file:///srv/sp-1"),))
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/sp-1"


def test_f44_a_checkpoint_newer_than_the_savepoint_wins() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"parallelism": 2}))
    job.settle()
    ending = job.generation.ending
    assert ending is not None
    assert ending.trigger_id is not None
    failed = Operation(OperationState.FAILED, "file:///srv/sp-1", "the stop failed")
    job.answer(JobState.FAILED, operations={ending.trigger_id: failed})
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-30", checkpoint_id=30, savepoints=((11, "file:///srv/sp-1"),))
    job.settle()
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/chk-30"


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
    assert job.record is not None
    assert job.record.blocked == "RESTORE_BLOCKED"
    assert "file:///srv/sp-1" in job.record.blocked_why
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    assert job.record.blocked is None
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/sp-1"


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
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/sp-1"


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


def test_f56_a_first_deployment_that_failed_is_corrected_by_a_new_spec() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(None)
    job.settle()
    job.edit(spec(job={"uri": "file:///srv/fixed.py"}))
    job.settle()
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is None
    assert job.generation.spec.job.uri == "file:///srv/fixed.py"


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
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/sp-1"


def test_a_finished_job_gives_its_resources_back_and_stays_finished() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.FINISHED)
    decision = job.settle()
    assert len(effects(decision, KillTask)) == 2
    job.bury_killed()
    decision = job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.FINISHED
    assert [type(effect) for effect in acting(decision)] == [CleanUpGeneration]
    job.cleaned = frozenset({job.generation.job_id})
    assert acting(job.settle()) == []


def test_a_failed_job_restarts_from_its_newest_state_after_the_back_off() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.FAILED, failure="java.lang.IllegalStateException: boom")
    job.settle()
    job.found(ha_metadata=False, checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    decision = job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/chk-9"
    assert all(task.not_before > job.now for task in decision.wanted())


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


def test_f34_a_kill_is_repeated_until_the_task_is_dead() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.FINISHED)
    job.settle()
    job.now += 3600
    assert len(effects(job.step(), KillTask)) == 2
    job.bury_killed()
    assert effects(job.settle(), KillTask) == []


def test_f32_a_launch_that_nobody_confirms_is_asked_about_and_then_replaced() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.now += 121
    decision = job.settle()
    assert len(effects(decision, ReconcileTask)) == 2
    job.now += 61
    decision = job.settle()
    assert len(effects(decision, KillTask)) == 2
    assert len(decision.wanted()) == 1, "the JobManager waits for a look at the HA metadata"


def test_f57_a_strategy_that_raises_falls_back_to_a_safe_delay() -> None:
    class Broken:
        def delay(self, *_: object) -> float | None:
            raise RuntimeError("boom")

    job = Scenario()
    job.policy = replace(job.policy, restart_strategies={"exponential-delay": Broken()})
    job.bring_up()
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    (new,) = job.settle().wanted()
    assert new.not_before - job.now == pytest.approx(10.0)
    assert "STRATEGY_FAILED" in job.events


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


def test_f13_a_job_that_was_lost_with_its_tree_and_put_back_goes_on() -> None:
    job = Scenario()
    job.bring_up()
    uid = job.record.uid if job.record else ""
    job.desired = Desired("orders", present=True, ref=SpecRef(900, 0), spec=spec(), adopt=True)
    assert acting(job.settle()) == []
    assert job.record is not None
    assert (job.record.uid, job.record.seen) == (uid, SpecRef(900, 0))
    job.desired = replace(job.desired, adopt=False)
    assert acting(job.settle()) == [], "and stays adopted"


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


def test_a_job_whose_jobmanager_is_unreachable_is_not_called_stable() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.UNREACHABLE)
    job.flink = None
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.RECONCILING


def lost_state() -> Scenario:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.record is not None
    assert job.record.blocked == "RESTORE_BLOCKED"
    return job


def test_a_person_may_say_where_to_start_from_when_the_newest_state_is_lost() -> None:
    job = lost_state()
    job.edit(spec(job={"initialSavepointPath": "file:///srv/rescued"}))
    job.settle()
    job.found(ha_metadata=False)
    job.settle()
    assert job.generation.number == 2
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/rescued"


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
    assert job.generation.restore is not None
    assert job.generation.restore.path == "file:///srv/sp-1"
