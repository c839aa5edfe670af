"""A session and its jobs in one loop: who sees what, in which order things are written, and who waits for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.jobs import JobEntry, Pending
from reconciler.model.events import ParsedSpec
from reconciler.model.observation import TaskState
from reconciler.model.record import Generation, Lifecycle, Record, SessionRef, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.sessions import look, related, view_of
from tests.unit.loop.bench import Leader, World

SESSION: dict[str, Any] = {
    "kind": "Session",
    "flinkVersion": "2.2",
    "flinkConfiguration": {},
    "taskManager": {"slots": 4},
    "health": {"stableAfter": "1s"},
}
JOB: dict[str, Any] = {
    "kind": "SessionJob",
    "session": "shared",
    "job": {"type": "jar", "uri": "file:///srv/job.jar"},
    "health": {"stableAfter": "1s"},
}


class Installation(World):
    """A session and two jobs in it."""

    def write(self, name: str, document: dict[str, Any], **changes: Any) -> None:
        document = {"flinkConfiguration": {"execution.checkpointing.interval": "2s"}, **document, **changes}
        self.users.put_job(name, json.dumps(document).encode())

    def lifecycle(self, name: str) -> Lifecycle:
        return self.record(name).lifecycle

    def why(self, name: str) -> str:
        status = self.users.load_status(name)
        assert status is not None
        return status.why

    def number(self, name: str) -> int:
        generation = self.record(name).generation
        assert generation is not None
        return generation.number


@pytest.fixture
def world() -> Installation:
    made = Installation()
    made.write("shared", SESSION)
    for name in ("orders", "clicks"):
        made.write(name, JOB)
    return made


@pytest.fixture
def leader(world: Installation) -> Leader:
    leader = Leader(world)
    leader.let_pass(40)
    assert {name: world.lifecycle(name).value for name in ("shared", "orders", "clicks")} == {
        "shared": "STABLE",
        "orders": "STABLE",
        "clicks": "STABLE",
    }
    return leader


def test_an_upgrade_of_the_session_takes_every_job_along_from_its_own_savepoint(
    world: Installation, leader: Leader
) -> None:
    world.write("shared", SESSION, env={"LEVEL": "2"})
    leader.let_pass(60)

    assert [world.number(name) for name in ("shared", "orders", "clicks")] == [2, 2, 2]
    for name in ("orders", "clicks"):
        record = world.record(name)
        assert record.lifecycle is Lifecycle.STABLE
        assert record.generation is not None
        assert record.generation.restore is not None
        assert f"/savepoints/{record.uid}/1/" in record.generation.restore.path
        assert record.generation.session is not None
        assert record.generation.session.generation == 2
    world.flink.assert_safe()


def test_one_job_that_fails_is_restarted_alone(world: Installation, leader: Leader) -> None:
    generation = world.record("orders").generation
    assert generation is not None
    before = world.record("clicks")
    world.flink.fail_job(generation.job_id, "java.lang.RuntimeException: boom")
    leader.let_pass(30)

    assert (world.number("orders"), world.number("clicks"), world.number("shared")) == (2, 1, 1)
    after = world.record("clicks")
    assert (after.generation, after.restarts) == (before.generation, before.restarts)
    world.flink.assert_safe()


def test_a_lost_job_manager_of_the_session_takes_no_job_to_another_generation(
    world: Installation, leader: Leader
) -> None:
    [manager] = [task for task in world.running() if ".jm." in task]
    world.mesos.set_state(manager, TaskState.FAILED, None, "killed")
    leader.let_pass(60)

    assert [world.number(name) for name in ("shared", "orders", "clicks")] == [1, 1, 1]
    assert all(world.lifecycle(name) is Lifecycle.STABLE for name in ("shared", "orders", "clicks"))
    world.flink.assert_safe()


def test_a_job_whose_savepoint_fails_holds_the_upgrade_up_and_is_named(world: Installation, leader: Leader) -> None:
    world.flink.fail_savepoints = 1000
    world.write("shared", SESSION, env={"LEVEL": "2"})
    leader.let_pass(60)

    assert world.number("shared") == 1
    assert "clicks, orders" in world.why("shared")
    assert all(world.lifecycle(name) is Lifecycle.UPGRADING for name in ("shared", "orders", "clicks"))
    world.flink.fail_savepoints = 0
    leader.let_pass(400)
    assert [world.number(name) for name in ("shared", "orders", "clicks")] == [2, 2, 2]


def test_a_job_that_asks_for_more_slots_than_its_session_has_says_so(world: Installation, leader: Leader) -> None:
    world.write("clicks", JOB, job={**JOB["job"], "parallelism": 50})
    leader.let_pass(60)

    assert "it needs 50 slots, session shared has" in world.why("clicks")
    assert world.lifecycle("orders") is Lifecycle.STABLE


def test_a_session_that_is_deleted_waits_for_its_jobs(world: Installation, leader: Leader) -> None:
    world.users.delete_job("shared")
    leader.let_pass(30)

    assert world.lifecycle("shared") is Lifecycle.DELETING
    assert "clicks, orders" in world.why("shared")
    assert world.lifecycle("orders") is Lifecycle.STABLE
    world.users.delete_job("orders")
    leader.let_pass(30)
    assert world.lifecycle("shared") is Lifecycle.DELETING
    world.users.delete_job("clicks")
    leader.let_pass(60)
    assert [world.lifecycle(name) for name in ("shared", "orders", "clicks")] == [Lifecycle.DELETED] * 3
    assert not world.running()


def test_a_session_cannot_become_a_job_before_it_is_deleted(world: Installation, leader: Leader) -> None:
    world.write("shared", {"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///srv/job.py"}})
    leader.let_pass(10)

    status = world.users.load_status("shared")
    assert status is not None
    assert not status.accepted
    assert "a session cannot become a job" in (status.error or "")
    assert world.lifecycle("shared") is Lifecycle.STABLE


# What one sees of the other


def entry(name: str, spec: JobSpec, **changes: Any) -> JobEntry:
    made = JobEntry(name)
    made.record = Record(name, f"{name:0<10}"[:10], SpecRef(1, 0), spec=spec, **changes)
    return made


def generation(spec: JobSpec, number: int = 1, **changes: Any) -> Generation:
    return Generation(number, spec, f"{number:032x}", "cluster", 0.0, **changes)


def shared() -> JobEntry:
    spec = JobSpec.model_validate(SESSION)
    return entry("shared", spec, generation=generation(spec))


def job_in(session: JobEntry, **changes: Any) -> Generation:
    assert session.record is not None
    ref = SessionRef("shared", session.record.uid, 1, "2.2")
    return generation(JobSpec.model_validate(JOB), session=ref, **changes)


def needed(session: JobEntry, job: JobEntry) -> list[tuple[str, frozenset[int], bool]]:
    look(session, {"shared": session, job.name: job})
    return [(each.name, each.needs, each.unknown) for each in session.session_jobs]


def test_s1_a_job_that_may_just_have_begun_is_one_that_needs_the_session() -> None:
    session, spec = shared(), JobSpec.model_validate(JOB)
    job = entry("orders", spec)
    assert needed(session, job) == [("orders", frozenset(), False)]

    assert job.record is not None
    begun = Record("orders", job.record.uid, SpecRef(1, 0), spec=spec, generation=job_in(session))
    job.pending = Pending(1, begun, (), (), (), None)

    assert needed(session, job) == [("orders", frozenset({1}), False)]


def test_s1_an_end_that_is_not_persisted_yet_does_not_count() -> None:
    session, spec = shared(), JobSpec.model_validate(JOB)
    job = entry("orders", spec, generation=job_in(session))
    assert job.record is not None
    ended = Record("orders", job.record.uid, SpecRef(1, 0), spec=spec, generation=job_in(session, terminal="FINISHED"))
    job.pending = Pending(1, ended, (), (), (), None)

    assert needed(session, job) == [("orders", frozenset({1}), False)]
    job.record, job.pending = ended, None
    assert needed(session, job) == [("orders", frozenset(), False)]


def test_f12_a_record_that_cannot_be_read_may_need_the_session() -> None:
    session, job = shared(), JobEntry("orders")
    job.quarantined = "not JSON"
    assert needed(session, job) == [("orders", frozenset(), True)]

    job.parsed = ParsedSpec(SpecRef(1, 0), JobSpec.model_validate({**SESSION}))

    assert needed(session, job) == []


def test_f9_nothing_is_known_of_a_session_whose_last_write_may_or_may_not_be_there() -> None:
    session = shared()
    session.stale = True

    assert not view_of("shared", session).known


def test_s1_a_session_that_may_have_decided_to_end_takes_no_job_any_more() -> None:
    session = shared()
    assert session.record is not None
    assert not view_of("shared", session).ending
    for later in (None, Record("shared", session.record.uid, SpecRef(1, 0), spec=session.record.spec)):
        session.pending = Pending(1, later, (), (), (), None)

        assert view_of("shared", session).ending
        assert not view_of("shared", session).ready


def test_a_change_of_one_makes_the_other_look_again() -> None:
    session, job = shared(), entry("orders", JobSpec.model_validate(JOB))
    jobs = {"shared": session, "orders": job, "other": entry("other", JobSpec.model_validate(SESSION))}

    assert related(session, jobs) == {"orders"}
    assert related(job, jobs) == {"shared"}
