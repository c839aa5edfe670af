"""What a session's JobManager does for its jobs, on the fake and on a real Flink."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from integration.local.packages import find_java
from reconciler.model import ids
from reconciler.model.observation import FlinkObservation, JobState
from reconciler.model.record import Generation, Role, SessionRef, Snapshot
from reconciler.model.spec import JobSpec
from reconciler.ports import FlinkRefused, FlinkUnreachable
from tests.integration.programs import compiled

pytestmark = pytest.mark.timeout(300)

World = Any
Started = Any
SOURCE = Path(__file__).parents[3] / "examples" / "jar" / "EvenIds.java"


@dataclass
class Session:
    """A running session with its jobs."""

    world: World
    cluster: Started
    jar: str
    numbers: dict[str, int] = field(default_factory=dict)

    def job(self, restore: Snapshot | None = None, record: Any = None, **job: Any) -> Started:
        """A generation of a job that is not submitted yet."""
        world = self.world
        record = record or world.new_job()
        number = self.numbers[record.uid] = self.numbers.get(record.uid, 0) + 1
        feed, out = world.input(record), world.input(record).with_name("out")
        if world.real and not feed.exists():
            world.feed(record, "".join(f'{{"id": {i}, "value": "v{i}"}}\n' for i in range(10)))
        arguments = ["--input", str(feed), "--output", str(out)]
        spec = JobSpec.model_validate(
            {
                "kind": "SessionJob",
                "session": self.cluster.record.name,
                "flinkConfiguration": {"execution.checkpointing.interval": "1s", "restart-strategy.type": "none"},
                "job": {"type": "jar", "uri": self.jar, "args": arguments, **job},
            }
        )
        own = self.cluster.generation
        ref = SessionRef(self.cluster.record.name, self.cluster.record.uid, own.number, world.series)
        job_id = ids.flink_job_id(record.uid, number)
        generation = Generation(number, spec, job_id, own.cluster_id, 0.0, restore, session=ref)
        target = replace(self.cluster.target, job_id=job_id, shared=True)
        return replace(self.cluster, record=record, generation=generation, target=target, tasks={})

    def submit(self, job: Started) -> None:
        submission = self.world.renderer.submission(job.record, job.generation)
        self._until_answered(lambda: self.world.flink.submit(job.target, submission))

    def running(self, **job: Any) -> Started:
        made = self.job(**job)
        self.submit(made)
        self.world.until_running(made)
        return made

    def look(self) -> FlinkObservation:
        world = self.world
        if not world.real:
            world.fake_now += 0.1
        found: FlinkObservation = world.flink.observe_session(
            self.cluster.target, time.time() if world.real else world.fake_now
        )
        return found

    def until_ready(self, task_managers: int = 1) -> None:
        deadline = time.monotonic() + (90 if self.world.real else 2)
        while time.monotonic() < deadline:
            seen = self.look()
            if seen.reachable and len(seen.task_managers) == task_managers:
                return
            if self.world.real:
                time.sleep(0.1)
        raise AssertionError(f"the session is not ready in time; last seen: {seen}")

    def pass_time(self, seconds: float) -> None:
        if self.world.real:
            time.sleep(seconds)
        else:
            self.world.fake_now += seconds
            self.world.flink.advance(self.world.fake_now)

    def until_given_up(self, job: Started) -> None:
        """Flink removes an ended job from its HA data a moment after it has ended."""
        deadline = time.monotonic() + (60 if self.world.real else 2)
        while self.world.flink.find_restore_point(_question(self, job)).accepted:
            assert time.monotonic() < deadline, "it stays in the HA data"
            self.pass_time(0.1)

    def forbid(self, job: Started) -> None:
        """As the operator does it: again and again until it is done."""
        target = job.target
        self._until_answered(lambda: self.world.flink.forbid(target.job_id, target.cluster_id, target.version))

    def _until_answered(self, call: Callable[[], None]) -> None:
        for _ in range(120):
            try:
                call()
                return
            except FlinkUnreachable as error:
                said = error
                self.pass_time(0.5)
        raise AssertionError(f"no answer in time: {said}")


def start(world: World, directory: Path) -> Session:
    record = world.new_job()
    document = {
        "kind": "Session",
        "flinkVersion": world.series,
        "flinkConfiguration": {"heartbeat.timeout": "5000"},
        "taskManager": {"slots": 4, "memory": "1g"},
    }
    uid = record.uid
    generation = Generation(
        1, JobSpec.model_validate(document), ids.flink_job_id(uid, 1), ids.cluster_id(record.name, uid, 1), 0.0
    )
    jar = "file:///srv/job.jar"
    if world.real:
        java = find_java()
        assert java is not None
        jar = compiled(SOURCE, world.flink_home, directory).as_uri()
    session = Session(world, world.start(record, generation, task_managers=1), jar)
    session.until_ready()
    return session


@pytest.fixture(scope="module")
def session(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = start(world, tmp_path_factory.mktemp("session"))
    yield made
    world.kill(made.cluster)


@pytest.fixture(scope="module")
def other_session(other_version: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    made = start(other_version, tmp_path_factory.mktemp("session"))
    yield made
    other_version.kill(made.cluster)


def test_a_session_is_seen_with_its_task_managers_and_without_a_job(session: Session) -> None:
    seen = session.look()

    assert seen.reachable
    assert (seen.job_id, seen.job_state) == (None, None)
    assert seen.task_managers == set(session.cluster.task_ids(Role.TASK_MANAGER))
    assert seen.leader_url == session.cluster.target.url


def test_f52_another_cluster_behind_the_address_is_not_the_session(session: Session) -> None:
    stranger = replace(session.cluster.target, cluster_id="another-0123456789-1")

    assert not session.world.flink.observe_session(stranger, session.world.fake_now).reachable


def test_a_job_that_was_not_submitted_is_reachable_without_a_state(session: Session) -> None:
    seen = session.world.observe(session.job())

    assert seen.reachable
    assert seen.job_state is None


def test_jobs_run_side_by_side_each_with_its_own_checkpoints_and_one_that_ends_leaves_the_other_alone(
    session: Session,
) -> None:
    one, other = session.running(), session.running()

    for job in (one, other):
        path = session.world.until_running(job).latest_checkpoint_path
        directory = ids.checkpoint_dir(session.world.storage, job.record.uid, 1).removeprefix("file://")
        assert path.removeprefix("file:").startswith(f"{directory}/{job.target.job_id}/chk-")
    before = session.world.observe(other)
    session.world.flink.cancel(one.target)
    session.world.until(one, "canceled", lambda seen: seen.job_state is JobState.CANCELED)
    session.world.until_result(one, "CANCELED")

    after = session.world.until_running(other)
    assert after.completed_checkpoints >= before.completed_checkpoints
    assert after.flink_restarts == 0
    session.world.flink.cancel(other.target)
    session.world.until_result(other, "CANCELED")


def test_a_submission_that_is_repeated_starts_nothing(session: Session) -> None:
    job = session.running()

    session.submit(job)

    assert session.world.until_running(job).flink_restarts == 0
    assert session.world.flink.find_restore_point(_question(session, job)).accepted
    session.world.flink.cancel(job.target)
    session.world.until_result(job, "CANCELED")


def test_a_job_goes_on_from_its_savepoint_and_the_one_before_is_never_accepted_again(session: Session) -> None:
    first = session.running()
    _, saved = session.world.stopped(first)
    session.world.until_result(first, "FINISHED")
    second = session.running(record=first.record, restore=session.world.savepoint(saved.path, 1))

    session.submit(first)

    assert session.world.until_restored(second).restored_from.endswith(saved.path.removeprefix("file:"))
    assert session.world.observe(first).job_state in (None, JobState.FINISHED)
    session.world.flink.cancel(second.target)
    session.world.until_result(second, "CANCELED")


def test_a_program_that_cannot_run_is_refused_with_its_reason(session: Session) -> None:
    job = session.job(entry_class="no.such.Program")

    with pytest.raises(FlinkRefused, match=r"no\.such\.Program"):
        session.submit(job)

    assert session.world.observe(job).job_state is None


def test_s1_a_submission_that_arrives_after_its_job_was_forbidden_starts_nothing(session: Session) -> None:
    late = session.job()
    with pytest.raises(FlinkUnreachable, match="forbidden"):
        session.world.flink.forbid(late.target.job_id, late.target.cluster_id, late.target.version)
    session.forbid(late)

    session.submit(late)

    session.pass_time(2.0)
    assert session.world.observe(late).job_state is None
    assert session.world.flink.find_restore_point(_question(session, late)).terminal is None


def test_s1_a_job_that_was_accepted_cannot_be_forbidden(session: Session) -> None:
    job = session.running()

    with pytest.raises(FlinkRefused, match="accepted"):
        session.forbid(job)

    session.world.flink.cancel(job.target)
    session.until_given_up(job)
    session.forbid(job)


def test_s1_a_new_job_manager_recovers_the_jobs_that_ran_and_no_others(session: Session) -> None:
    _a_new_job_manager_recovers(session)


@pytest.mark.stack
def test_s1_other_versions_recover_the_jobs_that_ran_and_no_others(other_session: Session) -> None:
    _a_new_job_manager_recovers(other_session)


def _a_new_job_manager_recovers(session: Session) -> None:
    world = session.world
    runs, ended, forbidden = session.running(), session.running(), session.job()
    _, saved = world.stopped(ended)
    world.until_result(ended, "FINISHED")
    session.forbid(forbidden)
    world.kill(session.cluster, Role.JOB_MANAGER)
    session.cluster = world.replace_job_manager(session.cluster)
    session.until_ready()
    moved = [replace(job, target=replace(job.target, url=session.cluster.target.url)) for job in (ended, forbidden)]
    runs = replace(runs, target=replace(runs.target, url=session.cluster.target.url))

    assert world.until_restored(runs).restored_from.count("/chk-") == 1

    for job in moved:
        session.submit(job)
        session.pass_time(1.0)
        assert world.observe(job).job_state is None
    assert saved.path
    view = world.flink.find_restore_point(_question(session, ended))
    assert (view.terminal, view.accepted, view.ha_metadata) == ("FINISHED", False, False)
    world.flink.cancel(runs.target)
    world.until_result(runs, "CANCELED")


def _question(session: Session, job: Started) -> Any:
    return replace(session.world.question(job), flink_version=session.world.series)
