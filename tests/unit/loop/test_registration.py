"""What is kept of a JobManager's answers: TaskManagers that it does not name, and how often it restarted the job."""

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


def test_restarts_are_counted_on_although_an_answer_in_between_had_no_count() -> None:
    made, seen, _ = entry()
    for at, count in ((110.0, 1), (120.0, 0), (130.0, 3)):
        made.note_flink(FlinkAnswered("orders", 1, replace(seen, at=at, flink_restarts=count)))
    assert made.observation().flink_restarts == ((100.0, 0), (110.0, 1), (130.0, 3))


def test_restarts_of_another_jobmanager_are_counted_from_nothing() -> None:
    made, seen, _ = entry()
    for at, count in ((110.0, 5), (120.0, 2)):
        made.note_flink(FlinkAnswered("orders", 1, replace(seen, at=at, flink_restarts=count)))
    assert made.observation().flink_restarts == ((120.0, 0), (120.0, 2))
