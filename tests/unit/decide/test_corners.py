"""Corners of endings, readiness and savepoints in which two rules meet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.decision import FindRestorePoint, KillTask, StopWithSavepoint, TriggerSavepoint
from reconciler.model.observation import FlinkObservation, JobState, Operation, OperationState, TaskState
from reconciler.model.record import EndMode, Lifecycle, Role
from tests.unit.decide.scenario import Operation_completed, Scenario, acting, effects, spec

BROKEN = {"env": {"BROKEN": "1"}, "health": {"rollback": True}}


def running(job: Scenario, **more: object) -> None:
    job.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=9, **more)


def upgraded(changed: dict[str, object], before: dict[str, object] | None = None) -> Scenario:
    """A stable job whose changed spec has just been started as generation 2."""
    job = Scenario(spec(health={"rollback": True}, **(before or {})))
    job.bring_up()
    job.edit(spec(**changed))
    job.settle()
    job.stopped("file:///srv/sp-1")
    job.settle()
    job.bury_killed()
    job.place()
    job.run_tasks()
    job.settle()
    assert job.generation.number == 2
    return job


def fails(job: Scenario) -> None:
    """The job of the current generation is FAILED, and what follows from that is done."""
    job.answer(JobState.FAILED)
    job.settle()
    if job.generation.ending is not None:
        job.found()
        job.settle()
    job.bury_killed()
    job.settle()


def test_a_spec_that_fails_again_and_again_is_rolled_back_as_well() -> None:
    """Each failure opens a generation of its own; the readiness time-out is the spec's, over all of them."""
    job = upgraded(BROKEN)
    started = job.now
    while job.generation.spec.env and job.now < started + 900:
        job.now += 60
        job.place()
        job.run_tasks()
        fails(job)
    assert job.now - started <= 360
    assert job.generation.spec.env == {}
    assert job.restored_from == "file:///srv/sp-1"


def test_a_spec_whose_restarts_are_used_up_is_rolled_back_in_time() -> None:
    job = upgraded({**BROKEN, "restart": {"strategy": "none"}})
    job.policy = replace(job.policy, restart_strategies={"none": Never()})
    fails(job)
    assert job.record is not None
    assert job.record.blocked == "RESTARTS_EXHAUSTED"
    assert job.generation.number == 2
    job.now += 301
    job.settle()
    job.found()
    job.settle()
    assert job.generation.number == 3
    assert job.generation.spec.env == {}
    assert job.record.blocked is None


def test_a_rollback_that_fails_again_and_again_blocks() -> None:
    job = upgraded(BROKEN)
    job.answer(JobState.RESTARTING)
    job.settle()
    job.now += 301
    job.answer(JobState.RESTARTING)
    job.settle()
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    started = job.now
    while job.record is not None and job.record.blocked is None and job.now < started + 900:
        assert job.record.lifecycle is Lifecycle.ROLLING_BACK
        job.now += 60
        job.place()
        job.run_tasks()
        fails(job)
    assert job.record is not None
    assert job.record.blocked == "ROLLBACK_FAILED"


def test_a_job_that_was_stable_is_not_rolled_back_for_a_change_of_the_operators_own_settings() -> None:
    job = Scenario(spec(health={"rollback": True}))
    job.bring_up()
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    job.now += 3600
    job.answer(JobState.RESTARTING, completed_checkpoints=9)
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.DEPLOYED
    job.edit(spec(health={"rollback": True, "maxRestarts": 9}))
    job.answer(JobState.RESTARTING, completed_checkpoints=9)
    decision = job.settle()
    assert acting(decision) == []
    assert job.generation.number == 1


def test_a_rescale_that_waits_for_offers_is_neither_stable_spec_nor_late() -> None:
    job = Scenario(spec(health={"rollback": True}))
    job.bring_up()
    job.edit(spec(health={"rollback": True}, job={"parallelism": 4}))
    running(job, parallelism=1)
    job.settle()
    assert job.record is not None
    assert job.record.stable_spec is not None
    assert job.record.stable_spec.job.parallelism == 1
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    job.now += 3600
    job.answer(JobState.RESTARTING, completed_checkpoints=9, parallelism=1)
    job.settle()
    assert job.generation.ending is None
    job.place()
    job.run_tasks()
    running(job, parallelism=4)
    job.settle()
    job.now += 31
    running(job, parallelism=4)
    job.settle()
    assert job.record.stable_spec.job.parallelism == 4


def test_a_job_that_restarts_for_ever_is_upgraded_although_flink_does_not_know_the_stop() -> None:
    """What a poll really says of a stop that was never sent: UNKNOWN, which is no operation in flight."""
    job = Scenario()
    job.bring_up()
    job.answer(JobState.RESTARTING)
    job.edit(spec(job={"uri": "file:///srv/fixed.py"}))
    job.settle()
    ending = job.generation.ending
    assert ending is not None
    assert ending.trigger_id is not None
    job.now += job.policy.stop_patience_s
    job.answer(JobState.RESTARTING, operations={ending.trigger_id: Operation(OperationState.UNKNOWN)})
    assert len(effects(job.settle(), KillTask)) == 2


def test_s2_a_cancel_that_was_begun_for_stateless_keeps_the_state_if_nobody_wants_to_start_empty_any_more() -> None:
    job = Scenario(spec(job={"upgradeMode": "stateless"}))
    job.bring_up()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "stateless"}))
    job.settle()
    job.edit(spec(restartNonce=1, job={"upgradeMode": "savepoint"}))
    job.answer(JobState.CANCELED)
    assert len(effects(job.settle(), FindRestorePoint)) == 1
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    job.settle()
    assert job.restored_from == "file:///srv/chk-9"


def test_s2_an_unreachable_jobmanager_is_not_replaced_without_its_ha_metadata() -> None:
    job = Scenario()
    job.bring_up()
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.UNREACHABLE)
    job.flink = None
    job.now += job.policy.lost_grace_s
    assert len(effects(job.settle(), FindRestorePoint)) == 1
    job.found(ha_metadata=False, checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    decision = job.step()
    assert decision.wanted() == (), "it would start from the generation's first restore point"
    assert "HA metadata" in decision.why
    assert job.generation.number == 1
    job.found(ha_metadata=True, checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    assert [task.role for task in job.settle().wanted()] == [Role.JOB_MANAGER]


def test_taskmanagers_that_die_while_the_job_is_stopped_come_back_more_and_more_slowly() -> None:
    job = Scenario()
    job.bring_up()
    job.remove()
    assert len(effects(job.settle(), StopWithSavepoint)) == 1
    waits = []
    for _ in range(5):
        job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
        job.answer(JobState.RESTARTING)
        (new,) = job.settle().wanted()
        waits.append(new.not_before - job.now)
        job.now = new.not_before
        job.place()
        job.run_tasks()
    assert waits[-1] > 8
    assert job.generation.ending is not None
    assert job.generation.ending.mode is EndMode.SAVEPOINT


def test_a_strategy_that_gives_up_does_not_give_up_the_last_savepoint() -> None:
    job = Scenario(spec(restart={"strategy": "none"}))
    job.policy = replace(job.policy, restart_strategies={"none": Never()})
    job.bring_up()
    job.remove()
    job.settle()
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    job.answer(JobState.RESTARTING)
    (new,) = job.settle().wanted()
    assert new.not_before > job.now
    assert job.record is not None
    assert job.record.blocked is None


def test_taskmanagers_have_time_to_register_with_a_jobmanager_that_was_restarted() -> None:
    job = Scenario()
    job.bring_up()
    job.now += 3600
    job.unregistered = {}
    job.answer(JobState.RESTARTING, task_managers=frozenset(), completed_checkpoints=9)
    assert effects(job.settle(), KillTask) == []


@pytest.mark.parametrize("flink", [JobState.INITIALIZING, None])
def test_a_jobmanager_that_does_not_show_its_taskmanagers_yet_is_no_reason_to_replace_them(
    flink: JobState | None,
) -> None:
    job = Scenario()
    job.bring_up()
    (manager,) = job.of(Role.TASK_MANAGER)
    assert manager.task_id is not None
    job.unregistered = {manager.task_id: job.now}
    job.now += 3600
    job.flink = FlinkObservation(job.now, True, job.generation.job_id, flink)
    assert effects(job.settle(), KillTask) == []


def test_f55_a_savepoint_that_was_only_just_asked_for_delays_the_upgrade_too() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"savepointTriggerNonce": 1}))
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    job.edit(spec(job={"savepointTriggerNonce": 1}, restartNonce=1))
    running(job, operations={trigger.trigger_id: Operation(OperationState.UNKNOWN)})
    decision = job.settle()
    assert effects(decision, StopWithSavepoint) == []
    assert effects(decision, TriggerSavepoint) == [trigger]


def test_f55_a_savepoint_that_completes_when_the_upgrade_begins_is_on_record() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"savepointTriggerNonce": 1}))
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    job.edit(spec(job={"savepointTriggerNonce": 1}, restartNonce=1))
    running(job, operations={trigger.trigger_id: Operation_completed("file:///srv/by-hand")})
    assert len(effects(job.settle(), StopWithSavepoint)) == 1
    assert job.record is not None
    assert "file:///srv/by-hand" in [snapshot.path for snapshot in job.record.snapshots]


def test_a_savepoint_by_hand_that_its_generation_did_not_live_to_complete_is_told_of() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"savepointTriggerNonce": 1}))
    job.settle()
    job.events.clear()
    job.answer(JobState.FAILED)
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-9", checkpoint_id=9)
    job.settle()
    assert job.generation.number == 2
    assert "SAVEPOINT_FAILED" in job.events


def test_the_restarts_within_a_window_are_counted_from_what_was_before_it() -> None:
    job = Scenario(spec(health={"maxRestarts": 3, "restartWindow": "2m"}))
    job.bring_up()
    seen = job.observation
    samples = ((job.now - 3600, 5), (job.now - 90, 6), (job.now - 60, 7), (job.now - 1, 8))
    job.observation = lambda: replace(seen(), flink_restarts=samples)  # type: ignore[method-assign]
    running(job)
    assert len(effects(job.settle(), KillTask)) == 2


class Never:
    def delay(self, *_: object) -> float | None:
        return None
