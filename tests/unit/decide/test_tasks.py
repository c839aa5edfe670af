"""Lost, unreachable, surplus and late tasks of one generation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.decision import FindRestorePoint, KillTask, ReconcileTask
from reconciler.model.observation import JobState, TaskState
from reconciler.model.record import Role, Task
from tests.unit.decide.scenario import Scenario, acting, effects, spec


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


def two_attempts_of_one_index() -> tuple[Scenario, list[Task]]:
    """TaskManager 0 came back after it was replaced; TaskManager 1 runs as well. The attempts of 0, then 1."""
    job = Scenario(spec(job={"parallelism": 4}))
    job.bring_up()
    old, other = job.of(Role.TASK_MANAGER)
    job.mesos(old, TaskState.UNREACHABLE)
    job.now += job.policy.lost_grace_s
    job.settle()
    job.place()
    new = next(task for task in job.of(Role.TASK_MANAGER) if task.task_id not in (old.task_id, other.task_id))
    job.run_tasks()
    return job, [old, new, other]


def test_f31_two_attempts_in_use_take_the_place_of_a_taskmanager_without_tasks() -> None:
    job, (old, new, other) = two_attempts_of_one_index()
    job.answer(JobState.RUNNING, busy_task_managers=frozenset({old.task_id, new.task_id}))
    killed = effects(job.settle(), KillTask)
    assert [kill.task_id for kill in killed] == [other.task_id]
    job.bury_killed()
    job.settle()
    assert [(task.task_id, task.index) for task in job.of(Role.TASK_MANAGER)] == [(old.task_id, 0), (new.task_id, 1)]
    assert job.record is not None
    assert job.record.restarts.total == 1, "only the loss itself was charged"


def test_f31_no_taskmanager_that_is_in_use_is_killed() -> None:
    job, tasks = two_attempts_of_one_index()
    job.answer(JobState.RUNNING, busy_task_managers=frozenset(task.task_id for task in tasks))
    assert effects(job.settle(), KillTask) == []


def test_a_taskmanager_that_registers_again_in_time_stays() -> None:
    job = Scenario()
    job.bring_up()
    job.answer(JobState.RUNNING, task_managers=frozenset())
    job.now += 60
    job.answer(JobState.RUNNING, task_managers=frozenset())
    assert effects(job.settle(), KillTask) == []
    job.answer(JobState.RUNNING)
    job.now += 100
    job.answer(JobState.RUNNING, task_managers=frozenset())
    assert effects(job.settle(), KillTask) == [], "it counts from when it was missed last, not from its start"


def test_mesos_is_asked_about_a_taskmanager_that_the_jobmanager_does_not_list() -> None:
    job = Scenario()
    job.bring_up()
    (lost,) = job.of(Role.TASK_MANAGER)
    job.answer(JobState.RESTARTING, task_managers=frozenset())
    assert acting(job.settle()) == []
    job.now += job.policy.silence_s
    job.answer(JobState.RESTARTING, task_managers=frozenset())
    assert [asked.task_id for asked in effects(job.settle(), ReconcileTask)] == [lost.task_id]


@pytest.mark.parametrize("role", list(Role))
def test_mesos_is_asked_again_more_and_more_rarely_about_a_task_that_is_out_of_sight(role: Role) -> None:
    job = Scenario()
    job.bring_up()
    (task,) = job.of(role)
    job.mesos(task, TaskState.UNREACHABLE)
    job.flink = None
    pauses = []
    for waited in (10, 20, 600):
        job.now += waited
        (asked,) = effects(job.settle(), ReconcileTask)
        pauses.append(asked.pause_s)
        job.place()
    assert pauses == [10, 30, 300]


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


@pytest.mark.parametrize("older", [None, "file:/s/chk-9"], ids=["none", "an-older-one-is-there"])
def test_s2_f43_no_jobmanager_is_relaunched_on_ha_metadata_whose_checkpoint_is_gone(older: str | None) -> None:
    """Also if nobody saw that checkpoint complete: each JobManager would exit at once, for ever."""
    job = Scenario()
    job.settle()
    job.place()
    job.run_tasks()
    job.answer(JobState.RUNNING)
    job.settle()
    assert not job.generation.checkpointed
    job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    job.settle()
    job.found(ha_metadata=True, checkpoint_lost=True, checkpoint_path=older)
    assert job.settle().wanted() == ()
    job.bury_killed()
    job.settle()
    job.found(ha_metadata=True, checkpoint_lost=True, checkpoint_path=older)
    assert job.settle().wanted() == ()
    assert job.blocked == "RESTORE_BLOCKED"


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
