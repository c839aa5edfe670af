"""One job through everything that can happen to it; a program that fails as it is told (Faulty.java).

The tests share the job and run in this order, each from a job that runs. At the end every row that was fed has to be in
the sink, numbered without a gap: whatever happened in between, no state was lost and none was restored twice.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.app.demo import faults
from reconciler.app.demo.harness import ask
from reconciler.app.demo.story import poll
from reconciler.model.record import Lifecycle, SnapshotKind
from reconciler.model.status import Status

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any

QUICK = {"strategy": "exponential-delay", "initialBackoff": "1s", "maxBackoff": "4s"}
BY_FLINK = {
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "100000",
    "restart-strategy.fixed-delay.delay": "100ms",
    "web.checkpoints.history": "1000",
}


@pytest.fixture(scope="module")
def shared(world: World) -> Iterator[Job]:
    made = world.faulty("life", flinkConfiguration=BY_FLINK, restart=QUICK)
    made.behave("well")
    made.put()
    made.runs(1)
    made.progresses()
    return made


@pytest.fixture
def job(shared: Job) -> Iterator[Job]:
    """The job, which behaves well again after a test that failed."""
    try:
        yield shared
    finally:
        shared.behave("well")
        shared.say()


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("file:"))


def restarted_leader(job: Job) -> None:
    """SIGKILL to the replica that leads; it starts again and leads with a new epoch."""
    installation = job.installation
    [replica] = installation.replicas
    epoch = installation.leader().epoch
    installation.stack.kill(replica)
    installation.stack.start(replica)
    poll("it leads again", lambda: (found := installation.leader()) and found.epoch > epoch, 60.0)


def test_suspend_gives_the_resources_back_and_resume_goes_on_from_its_savepoint(job: Job) -> None:
    before = job.view.status()
    job.put("job", state="suspended")
    job.lifecycle(Lifecycle.SUSPENDED)
    job.until("nothing of it runs", lambda: not job.tasks())
    saved = job.view.status().last_snapshot
    assert saved.kind == SnapshotKind.SAVEPOINT.value
    job.put("job", state="running")
    after = job.runs(before.generation + 1)
    assert after.restored_from == saved.path
    job.progresses()


def test_f49_a_change_that_is_taken_back_before_anybody_saw_it_has_no_effect(job: Job) -> None:
    before, version = job.view.status(), job.record().seen.version
    [replica] = job.installation.replicas
    job.installation.stack.pause(replica)
    try:
        job.put(env={"LEVEL": "debug"})
        job.put(env={})
    finally:
        job.installation.stack.resume(replica)
    job.until("it was seen", lambda: job.record().seen.version == version + 2)
    job.until("it is stable", lambda: job.view.status().lifecycle == "STABLE")
    after = job.runs(before.generation)
    assert after.job_id == before.job_id
    assert job.record().next_generation == before.generation + 1


def test_f39_one_nonce_is_one_savepoint_although_the_leader_is_killed_in_between(job: Job) -> None:
    status = job.view.status()
    known = {snapshot.path for snapshot in job.record().snapshots}
    job.behave("stall")  # so that the savepoint is under way, and is not complete, when the leader dies
    job.put("job", savepointTriggerNonce=job.wanted["job"].get("savepointTriggerNonce", 0) + 1)
    pending = job.until("the intent is persisted", lambda: job.record().savepoint)
    restarted_leader(job)
    job.until("Flink writes it", lambda: savepoints(status)[0] >= 1)
    assert job.record().savepoint.trigger_id == pending.trigger_id
    job.behave("well")
    job.until("it is complete", lambda: job.record().savepoint is None)
    [made] = [snapshot for snapshot in job.record().snapshots if snapshot.path not in known]
    assert made.trigger_id == pending.trigger_id
    job.progresses()
    assert savepoints(status) == (0, 1), "one savepoint in all"
    assert [str(path) for path in path_of(pending.directory).iterdir()] == [str(path_of(made.path))]
    assert job.view.running(status.generation).job_id == status.job_id


def savepoints(status: Status) -> tuple[int, int]:
    """(in progress, completed) savepoints that the JobManager has heard of."""
    found = ask(f"{status.job_manager_url}/jobs/{status.job_id}/checkpoints") or {"history": []}
    states = [entry["status"] for entry in found["history"] if entry["is_savepoint"]]
    return states.count("IN_PROGRESS"), states.count("COMPLETED")


def test_f53_periodic_savepoints_are_made_and_the_oldest_are_disposed_of(job: Job) -> None:
    before = {snapshot.path for snapshot in job.record().snapshots}
    job.put(snapshots={"interval": "10s", "maxCount": 1})

    def made() -> list[str]:
        found = [snapshot for snapshot in job.record().snapshots if snapshot.reason == "periodic"]
        return [snapshot.path for snapshot in sorted(found, key=lambda snapshot: snapshot.order)]

    first = job.until("the first is made", lambda: bool(made()) and made()[0])
    job.until("a second is made", lambda: made()[-1] != first)
    job.until("the first is disposed of", lambda: not path_of(first).exists())
    job.put(snapshots={})
    newest = made()[-1]
    assert path_of(newest).joinpath("_metadata").exists()
    referenced = job.record().generation.restore.path
    assert path_of(referenced).exists(), "what the generation started from stays"
    gone = [path for path in before if path != referenced and not path.endswith("chk")]
    job.until("older ones are gone too", lambda: not any(path_of(path).exists() for path in gone))


def test_a_lost_jobmanager_comes_back_in_its_generation_and_its_taskmanagers_stay(job: Job) -> None:
    before = job.view.status()
    [manager] = job.view.tasks("jm")
    workers = job.view.tasks("tm")
    faults.kill_task(job.installation, manager)
    job.until("another JobManager runs", lambda: bool(now := job.view.tasks("jm")) and manager not in now)
    after = job.runs(before.generation)
    assert after.job_id == before.job_id
    assert job.view.tasks("tm") == workers
    job.progresses()


def test_a_taskmanager_that_is_not_heard_of_any_more_is_replaced(job: Job) -> None:
    job.put(health={**job.wanted["health"], "launchTimeout": "10s"})
    before = job.view.status()
    [worker] = job.view.tasks("tm")
    for pid in faults.processes_of(job.installation, worker):
        os.kill(pid, signal.SIGSTOP)
    job.until("it is noticed", lambda: job.told("NOT_REGISTERED") > 0)
    job.put(health={**job.wanted["health"], "launchTimeout": "2m"})  # a start may take longer on a busy machine
    job.until("another one runs", lambda: bool(now := job.view.tasks("tm")) and worker not in now)
    assert job.runs(before.generation).job_id == before.job_id
    job.progresses()


def test_a_job_that_flink_restarts_too_often_is_unhealthy_and_starts_from_its_newest_checkpoint(job: Job) -> None:
    running = job.view.status()
    job.put(health={**job.wanted["health"], "maxRestarts": 3, "restartWindow": "10m"})
    job.behave("fail")
    job.until("it is unhealthy", lambda: job.told("UNHEALTHY") > 0)
    job.behave("well")
    after = job.runs_anew(running)
    assert "/chk-" in after.restored_from
    job.progresses()


def test_the_webhook_was_told_of_all_this(job: Job, world: World) -> None:
    wanted = {"SUSPENDED", "SAVEPOINT_COMPLETED", "SAVEPOINT_DISPOSED", "NOT_REGISTERED", "UNHEALTHY"}
    job.until("every event was posted", lambda: wanted <= world.receiver.codes(job.name))


def test_after_all_this_every_row_is_in_the_sink_once(job: Job) -> None:
    job.complete()
    job.delete()
    assert not job.tasks()
