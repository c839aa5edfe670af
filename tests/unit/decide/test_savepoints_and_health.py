"""Savepoints on demand, rescaling in place, health and rollback."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.decision import (
    CleanUpGeneration,
    DisposeSavepoint,
    KillTask,
    RescaleJob,
    StopWithSavepoint,
    TriggerSavepoint,
)
from reconciler.model.observation import JobState, Operation, OperationState, TaskState
from reconciler.model.record import Lifecycle, Role
from tests.unit.decide.scenario import Operation_completed, Scenario, acting, effects, spec


def running(job: Scenario, **more: object) -> None:
    job.answer(JobState.RUNNING, completed_checkpoints=9, latest_checkpoint_id=9, latest_checkpoint_at=job.now, **more)


def nonce(value: int, **more: object) -> object:
    return spec(job={"savepointTriggerNonce": value}, **more)


def test_a_changed_nonce_is_one_savepoint_and_the_job_runs_on() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(nonce(1))
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    (again,) = effects(job.step(), TriggerSavepoint)
    assert again == trigger, "f38: the same trigger id until Flink shows it"
    running(job, operations={trigger.trigger_id: Operation(OperationState.IN_PROGRESS)})
    assert effects(job.settle(), TriggerSavepoint) == []
    running(job, operations={trigger.trigger_id: Operation_completed("file:///srv/sp-1")})
    job.settle()
    running(job)
    assert acting(job.settle()) == []
    assert job.record is not None
    assert [snapshot.path for snapshot in job.record.snapshots] == ["file:///srv/sp-1"]
    assert job.generation.number == 1


def test_a_nonce_that_a_job_is_created_with_triggers_nothing() -> None:
    job = Scenario(nonce(7))
    job.bring_up()
    assert acting(job.settle()) == []


def test_f39_the_trigger_id_is_on_record_before_flink_hears_of_it() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(nonce(1))
    decision = job.step()
    (trigger,) = effects(decision, TriggerSavepoint)
    assert decision.record is not None
    assert decision.record.savepoint is not None
    assert decision.record.savepoint.trigger_id == trigger.trigger_id


def test_a_failed_savepoint_is_tried_three_times_and_given_up() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(nonce(1))
    seen = set()
    for _ in range(3):
        job.now += 60
        running(job)
        (trigger,) = effects(job.settle(), TriggerSavepoint)
        seen.add(trigger.trigger_id)
        running(job, operations={trigger.trigger_id: Operation(OperationState.FAILED, None, "disk full")})
        job.step()
    job.now += 60
    running(job)
    assert acting(job.settle()) == []
    assert len(seen) == 3
    assert job.events.count("SAVEPOINT_FAILED") == 3


def test_periodic_savepoints_come_by_interval() -> None:
    job = Scenario(spec(snapshots={"interval": "10m"}))
    job.bring_up()
    job.now += 601
    running(job)
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    running(job, operations={trigger.trigger_id: Operation_completed("file:///srv/sp-1")})
    job.settle()
    job.now += 300
    running(job)
    assert acting(job.settle()) == []
    job.now += 301
    running(job)
    assert len(effects(job.settle(), TriggerSavepoint)) == 1


def test_periodic_savepoints_come_by_cron() -> None:
    job = Scenario(spec(snapshots={"cron": "0 * * * *"}))
    job.bring_up()
    job.now += 3600
    running(job)
    assert len(effects(job.settle(), TriggerSavepoint)) == 1


def test_f55_a_savepoint_in_flight_delays_the_upgrade() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(nonce(1))
    (trigger,) = effects(job.settle(), TriggerSavepoint)
    running(job, operations={trigger.trigger_id: Operation(OperationState.IN_PROGRESS)})
    job.edit(nonce(1, restartNonce=1))
    decision = job.settle()
    assert effects(decision, StopWithSavepoint) == []
    assert "savepoint" in decision.why
    running(job, operations={trigger.trigger_id: Operation_completed("file:///srv/sp-1")})
    assert len(effects(job.settle(), StopWithSavepoint)) == 1


def test_f53_the_newest_and_referenced_savepoints_are_never_disposed_of() -> None:
    job = Scenario(spec(snapshots={"maxCount": 1, "maxAge": "1h"}))
    job.bring_up()
    for number in range(1, 4):
        job.now += 60
        job.edit(nonce(number, snapshots={"maxCount": 1, "maxAge": "1h"}))
        running(job)
        (trigger,) = effects(job.settle(), TriggerSavepoint)
        running(job, operations={trigger.trigger_id: Operation_completed(f"file:///srv/sp-{number}")})
        job.settle()
        running(job)
        decision = job.settle()
    disposed = {effect.path for effect in effects(decision, DisposeSavepoint)}
    assert disposed == {"file:///srv/sp-1", "file:///srv/sp-2"}
    job.now += 7200
    running(job)
    assert "file:///srv/sp-3" not in {effect.path for effect in effects(job.settle(), DisposeSavepoint)}


def test_a_new_parallelism_is_reached_in_place() -> None:
    job = Scenario()
    job.bring_up()
    before = job.generation
    job.edit(spec(job={"parallelism": 4}))
    running(job, parallelism=1)
    decision = job.settle()
    assert [effect.parallelism for effect in effects(decision, RescaleJob)] == [4]
    assert [task.role for task in decision.wanted()] == [Role.TASK_MANAGER]
    job.place()
    job.run_tasks()
    running(job, parallelism=4)
    job.settle()
    assert (job.generation.number, job.generation.job_id) == (before.number, before.job_id)
    assert len(job.of(Role.JOB_MANAGER)) == 1
    assert acting(job.settle()) == []


def test_surplus_taskmanagers_go_only_after_the_job_has_left_them() -> None:
    job = Scenario(spec(job={"parallelism": 4}))
    job.bring_up()
    job.edit(spec(job={"parallelism": 2}))
    running(job, parallelism=4)
    assert effects(job.settle(), KillTask) == []
    running(job, parallelism=2)
    assert len(effects(job.settle(), KillTask)) == 1


def test_a_rescale_that_flink_refuses_becomes_an_upgrade() -> None:
    job = Scenario()
    job.bring_up()
    job.edit(spec(job={"parallelism": 4}))
    running(job, parallelism=1)
    job.settle()
    seen = job.observation
    job.observation = lambda: replace(seen(), rescale_refused="not adaptive")  # type: ignore[method-assign]
    running(job, parallelism=1)
    assert len(effects(job.settle(), StopWithSavepoint)) == 1


def test_a_rescale_that_reaches_flink_late_is_corrected() -> None:
    job = Scenario(spec(job={"parallelism": 2}))
    job.bring_up()
    job.edit(spec(job={"parallelism": 1}))
    running(job, parallelism=2)
    job.settle()
    running(job, parallelism=1)
    job.settle()
    running(job, parallelism=2)
    assert [effect.parallelism for effect in effects(job.settle(), RescaleJob)] == [1]


def test_too_many_restarts_by_flink_open_the_next_generation() -> None:
    job = Scenario(spec(health={"maxRestarts": 3}))
    job.bring_up()
    seen = job.observation
    job.observation = lambda: replace(seen(), flink_restarts=((job.now - 60, 0), (job.now - 1, 3)))  # type: ignore[method-assign]
    running(job)
    assert len(effects(job.settle(), KillTask)) == 2
    assert job.record is not None
    assert job.record.restarts.total == 1


def test_a_job_without_checkpoints_for_too_long_is_restarted() -> None:
    job = Scenario(spec(health={"checkpointStall": "1m"}))
    job.bring_up()
    running(job)
    stalled = job.flink
    assert stalled is not None
    assert acting(job.settle()) == []
    job.now += 61
    job.flink = replace(stalled, at=job.now)
    assert len(effects(job.settle(), KillTask)) == 2


def test_a_taskmanager_that_never_registers_is_replaced() -> None:
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.now += 60
    job.answer(JobState.CREATED, task_managers=frozenset())
    job.settle()
    job.now += 61
    job.answer(JobState.CREATED, task_managers=frozenset())
    assert effects(job.settle(), KillTask) == [], "it counts from when the JobManager could have named it"
    job.now += 60
    job.answer(JobState.CREATED, task_managers=frozenset())
    assert len(effects(job.settle(), KillTask)) == 1
    (new,) = [task for task in job.of(Role.TASK_MANAGER) if task.kill_since is None]
    assert not new.placed


def upgrade_that_fails(job: Scenario) -> None:
    job.bring_up()
    job.edit(spec(env={"BROKEN": "1"}, health={"rollback": True}))
    job.settle()
    job.stopped("file:///srv/sp-1")
    job.settle()
    job.bury_killed()
    job.place()
    job.run_tasks()
    job.answer(JobState.RESTARTING)
    job.settle()
    job.now += 301
    job.answer(JobState.RESTARTING)
    job.settle()


def test_a_spec_that_does_not_become_stable_is_rolled_back_to_the_last_stable_one() -> None:
    job = Scenario(spec(health={"rollback": True}))
    upgrade_that_fails(job)
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.ROLLING_BACK
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    assert job.generation.number == 3
    assert job.generation.spec.env == {}
    assert job.restored_from == "file:///srv/sp-1"
    job.place()
    job.run_tasks()
    running(job)
    job.settle()
    job.now += 31
    running(job)
    decision = job.settle()
    assert job.record.lifecycle is Lifecycle.ROLLED_BACK
    job.cleaned = frozenset(effect.job_id for effect in effects(decision, CleanUpGeneration))
    job.now += 3600
    running(job)
    assert acting(job.settle()) == [], "the spec that failed is not tried again"


def test_a_rollback_takes_the_newest_state_of_the_failed_generation() -> None:
    job = Scenario(spec(health={"rollback": True}))
    upgrade_that_fails(job)
    job.bury_killed()
    job.settle()
    job.found(checkpoint_path="file:///srv/chk-40", checkpoint_id=40)
    job.settle()
    assert job.restored_from == "file:///srv/chk-40"


def test_a_newer_spec_breaks_out_of_a_rollback() -> None:
    job = Scenario(spec(health={"rollback": True}))
    upgrade_that_fails(job)
    job.edit(spec(env={"FIXED": "1"}, health={"rollback": True}))
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    assert job.generation.spec.env == {"FIXED": "1"}


def test_a_rollback_that_does_not_become_stable_either_blocks() -> None:
    job = Scenario(spec(health={"rollback": True}))
    upgrade_that_fails(job)
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(JobState.RESTARTING)
    job.settle()
    job.now += 301
    job.answer(JobState.RESTARTING)
    job.settle()
    assert job.record is not None
    assert job.record.lifecycle is Lifecycle.BLOCKED
    assert job.record.blocked == "ROLLBACK_FAILED"


def test_a_taskmanager_failure_during_a_rollback_is_just_replaced() -> None:
    job = Scenario(spec(health={"rollback": True}))
    upgrade_that_fails(job)
    job.bury_killed()
    job.settle()
    job.found()
    job.settle()
    job.place()
    job.run_tasks()
    running(job)
    job.settle()
    job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
    job.settle()
    assert job.generation.number == 3


def test_checkpoints_of_earlier_generations_go_once_nothing_refers_to_them() -> None:
    job = Scenario(spec(job={"upgradeMode": "last-state"}))
    job.bring_up()
    disposed: set[str] = set()
    for number in (1, 2, 3):
        job.edit(spec(restartNonce=number, job={"upgradeMode": "last-state"}))
        job.settle()
        job.bury_killed()
        job.settle()
        job.found(ha_metadata=True, checkpoint_path=f"file:///srv/{number}/chk-9", checkpoint_id=9)
        job.settle()
        job.place()
        job.run_tasks()
        running(job)
        disposed |= {effect.path for effect in effects(job.settle(), DisposeSavepoint)}
    assert job.restored_from == "file:///srv/3/chk-9"
    assert disposed == {"file:///srv/1/chk-9", "file:///srv/2/chk-9"}
