"""A session cluster and two jobs in it, through the whole operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.app.demo import faults
from reconciler.model.record import Lifecycle, Role, SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
World = Any
Job = Any


@dataclass
class Shared:
    """The session and its jobs; tests run in order and leave both jobs running."""

    session: Job
    orders: Job
    clicks: Job


@pytest.fixture(scope="module")
def shared(world: World) -> Iterator[Shared]:
    session = world.session("shared", taskManager={"cpus": 0.5, "memory": "1g", "slots": 4})
    jobs = [world.jar_evens(name, kind="SessionJob", session="shared") for name in ("orders", "clicks")]
    # The jobs first: they wait for their session, and say so.
    jobs[0].put()
    jobs[0].until("it says what it waits for", lambda: "there is no session shared" in jobs[0].view.why())
    session.put()
    jobs[1].put()
    try:
        yield Shared(session, *jobs)
    finally:
        world.remove(*jobs, session)


def test_two_jobs_run_in_one_session_without_tasks_of_their_own(shared: Shared) -> None:
    session, orders, clicks = shared.session, shared.orders, shared.clicks
    one, other = orders.runs(1), clicks.runs(1)
    session.lifecycle(Lifecycle.STABLE)

    assert one.job_manager_url == other.job_manager_url == session.view.status().job_manager_url
    assert one.job_id != other.job_id
    assert one.flink_version == "2.2"
    assert (len(session.tasks()), orders.tasks(), clicks.tasks()) == (2, set(), set())
    orders.progresses()
    clicks.progresses()


def test_one_job_that_fails_leaves_the_other_alone(made: World, shared: Shared) -> None:
    before = {job.name: job.record() for job in (shared.orders, shared.clicks)}
    wrong = made.jar_evens("wrong", kind="SessionJob", session="shared")
    wrong.put("job", entryClass="no.such.Program")
    wrong.until("it says why it does not run", lambda: "no.such.Program" in wrong.view.why())
    broken = made.job("broken", {"type": "jar", "uri": wrong.wanted["job"]["uri"]}, kind="SessionJob", session="shared")
    broken.wanted["flinkConfiguration"]["restart-strategy.type"] = "none"
    broken.wanted["job"]["args"] = ["--input", "/proc/nowhere/in", "--output", "/proc/nowhere/out"]
    broken.put()
    broken.until("it failed and is tried again", lambda: broken.record().restarts.total >= 2)

    # A first deployment that failed is corrected by the next spec.
    wrong.put("job", entryClass=None)
    wrong.runs(2)
    wrong.progresses()

    for job in (shared.orders, shared.clicks):
        after = job.record()
        assert after.generation.job_id == before[job.name].generation.job_id
        assert after.restarts.total == before[job.name].restarts.total
        job.progresses()
    broken.delete()
    wrong.delete()


def test_a_lost_job_manager_is_launched_again_and_flink_recovers_every_job(made: World, shared: Shared) -> None:
    jobs, number = (shared.orders, shared.clicks), shared.session.record().generation.number
    before = {job.name: job.record().generation for job in jobs}
    [manager] = [task for task in shared.session.record().tasks if task.role is Role.JOB_MANAGER]

    faults.kill_task(made.installation, manager.task_id)

    shared.session.until("it has another JobManager", lambda: manager.task_id not in shared.session.tasks())
    for job in jobs:
        job.until("the job runs again", lambda job=job: job.view.running(before[job.name].number))
        job.progresses()
        assert job.record().generation.job_id == before[job.name].job_id
    assert shared.session.record().generation.number == number


def test_an_upgrade_of_the_session_takes_every_job_along_from_its_own_savepoint(shared: Shared) -> None:
    session, jobs = shared.session, (shared.orders, shared.clicks)
    number = session.record().generation.number
    before = {job.name: job.record().generation.number for job in jobs}

    session.put(restartNonce=number)

    for job in jobs:
        status = job.runs(before[job.name] + 1)
        assert status.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
        assert status.restored_from == status.last_snapshot.path
        assert f"/{job.record().uid}/{before[job.name]}/" in status.restored_from
        job.progresses()
    assert session.record().generation.number == number + 1
    session.until("the tasks of before have ended", lambda: len(session.tasks()) == 2)


def test_a_job_is_changed_suspended_and_resumed_while_the_other_runs_on(shared: Shared) -> None:
    orders, clicks = shared.orders, shared.clicks
    before, number = clicks.record().generation.job_id, orders.record().generation.number

    orders.has_a_checkpoint()
    orders.put("job", upgradeMode="last-state")
    orders.put(restartNonce=number)
    status = orders.runs(number + 1)
    assert "/chk-" in status.restored_from
    orders.put("job", upgradeMode="savepoint", state="suspended")
    orders.lifecycle(Lifecycle.SUSPENDED)
    orders.put("job", state="running", parallelism=2)
    orders.runs(number + 2, parallelism=2)
    orders.put("job", parallelism=1)
    orders.runs(number + 2, parallelism=1)
    orders.progresses()

    assert clicks.record().generation.job_id == before


def test_deleting_the_session_waits_for_its_jobs(made: World, shared: Shared) -> None:
    session, orders, clicks = shared.session, shared.orders, shared.clicks
    orders.progresses()
    made.installation.delete("shared")
    session.until("it names its jobs", lambda: "clicks, orders" in session.view.why())
    session.lifecycle(Lifecycle.DELETING)
    clicks.progresses()

    orders.complete()
    orders.delete()
    session.until("it names the one that is left", lambda: session.view.why().count("clicks") == 1)
    assert len(session.tasks()) == 2
    clicks.complete()
    clicks.delete()

    session.lifecycle(Lifecycle.DELETED)
    session.until("nothing is left of it", lambda: not session.tasks())
