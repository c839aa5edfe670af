"""Standby JobManagers: several of one generation, of which Flink elects one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.decision import FindRestorePoint, KillTask
from reconciler.model.observation import FlinkObservation, JobState, TaskState
from reconciler.model.record import Role, Task
from reconciler.report import job_manager_url
from tests.unit.decide.scenario import POLICY, Scenario, effects, spec


@pytest.fixture
def job() -> Scenario:
    found = Scenario(spec(jobManager={"replicas": 2}))
    found.bring_up()
    return found


def url(task: Task) -> str:
    return f"http://{task.address}:{task.ports[0]}"


def lose(job: Scenario, task: Task) -> None:
    job.mesos(task, TaskState.FAILED)
    job.flink = None


def test_both_are_launched_at_once_and_in_one_generation(job: Scenario) -> None:
    assert [(task.index, task.generation) for task in job.of(Role.JOB_MANAGER)] == [(0, 1), (1, 1)]


def test_a_generation_keeps_the_operators_defaults_that_it_began_with() -> None:
    policy = replace(POLICY, flink_defaults=lambda version: {"for": version})
    job = Scenario(spec(), policy)
    job.bring_up()
    job.policy = replace(POLICY, flink_defaults=lambda _: {"for": "another"})

    job.settle()

    assert job.generation.defaults == {"for": spec().flink_version}


def test_a_lost_one_is_replaced_at_once_because_the_other_lives(job: Scenario) -> None:
    lost, other = job.of(Role.JOB_MANAGER)
    lose(job, lost)

    decision = job.settle()

    assert effects(decision, FindRestorePoint) == []
    left = {task.index: task for task in job.of(Role.JOB_MANAGER)}
    assert left[1] == other
    assert (left[0].placed, left[0].attempt > lost.attempt) == (False, True)
    assert job.generation.number == 1


def test_when_the_last_one_is_lost_too_its_replacement_needs_the_ha_metadata(job: Scenario) -> None:
    first, second = job.of(Role.JOB_MANAGER)
    lose(job, first)
    job.settle()
    lose(job, second)

    decision = job.settle()

    assert len(effects(decision, FindRestorePoint)) == 1
    assert job.of(Role.JOB_MANAGER) == [], "what was wanted beside the other is not placed without a look either (S2)"
    job.found(ha_metadata=True, checkpoint_path="chk-9", checkpoint_id=9)
    job.settle()
    assert [task.index for task in job.of(Role.JOB_MANAGER)] == [0, 1]


def test_when_the_last_one_goes_out_of_sight_its_standby_needs_the_ha_metadata_too(job: Scenario) -> None:
    first, second = job.of(Role.JOB_MANAGER)
    lose(job, first)
    job.settle()
    job.now += 1
    job.mesos(second, TaskState.UNREACHABLE)

    decision = job.settle()

    assert len(effects(decision, FindRestorePoint)) == 1
    assert job.of(Role.JOB_MANAGER) == [second]


def test_a_generation_has_ended_only_when_both_are_dead(job: Scenario) -> None:
    job.edit(spec(jobManager={"replicas": 2}, job={"upgradeMode": "last-state"}, restartNonce=1))
    decision = job.settle()
    first, second = job.of(Role.JOB_MANAGER)
    assert {kill.task_id for kill in effects(decision, KillTask)} >= {first.task_id, second.task_id}

    job.mesos(first, TaskState.KILLED)
    decision = job.settle()

    assert effects(decision, FindRestorePoint) == []
    assert job.generation.number == 1


def test_the_elected_one_is_asked_and_without_one_the_newest(job: Scenario) -> None:
    assert job.record is not None
    first, second = job.of(Role.JOB_MANAGER)
    seen = job.observation()

    for elected, asked in ((url(first), first), (url(second), second), ("http://gone:1", second), (None, second)):
        answer = FlinkObservation(job.now, reachable=True, job_state=JobState.RUNNING, leader_url=elected)
        assert job_manager_url(job.record, replace(seen, flink=answer)) == url(asked)
