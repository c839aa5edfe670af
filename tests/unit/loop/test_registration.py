"""Since when a JobManager has not named a TaskManager."""

from __future__ import annotations

from dataclasses import replace

from reconciler.jobs import JobEntry
from reconciler.model.events import FlinkAnswered
from reconciler.model.observation import FlinkObservation, JobState
from reconciler.model.record import Role
from tests.unit.decide.scenario import Scenario


def entry() -> tuple[JobEntry, FlinkObservation, str]:
    """A job whose JobManager does not name its one TaskManager."""
    job = Scenario()
    job.settle()
    job.place()
    (manager,) = job.of(Role.TASK_MANAGER)
    assert manager.task_id is not None
    made = JobEntry("orders", record=job.record)
    seen = FlinkObservation(100.0, True, job.generation.job_id, JobState.RUNNING, leader_url="http://a:1")
    made.note_flink(FlinkAnswered("orders", 1, seen))
    return made, seen, manager.task_id


def test_it_counts_from_the_first_answer_until_it_is_named() -> None:
    made, seen, manager = entry()
    made.note_flink(FlinkAnswered("orders", 1, replace(seen, at=160.0)))
    assert made.observation().unregistered_since == {manager: 100.0}
    made.note_flink(FlinkAnswered("orders", 1, replace(seen, at=161.0, task_managers=frozenset({manager}))))
    assert made.observation().unregistered_since == {}


def test_it_counts_anew_with_another_leader_and_with_another_jobmanager() -> None:
    made, seen, manager = entry()
    made.note_flink(FlinkAnswered("orders", 1, replace(seen, at=160.0, leader_url="http://b:1")))
    assert made.observation().unregistered_since == {manager: 160.0}
    made.forget_flink()
    made.note_flink(FlinkAnswered("orders", 1, replace(seen, at=200.0, leader_url="http://b:1")))
    assert made.observation().unregistered_since == {manager: 200.0}
