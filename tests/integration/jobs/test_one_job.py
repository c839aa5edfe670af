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
from reconciler.model.record import Lifecycle, Role, SnapshotKind
from reconciler.model.status import Status

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any

QUICK = {"strategy": "exponential-delay", "initialBackoff": "1s", "maxBackoff": "4s"}
BY_WEIR = {"restart-strategy.type": "none"}
"""Flink gives up at the first failure, so that Weir has to act."""
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
    with world.running(made):
        yield made


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


def test_a_job_whose_checkpoints_stall_is_restarted(job: Job) -> None:
    job.put(health={**job.wanted["health"], "maxRestarts": 64, "checkpointStall": "5s"})
    before = job.view.status()
    told = job.told("UNHEALTHY")
    job.behave("stall")
    job.until("it is unhealthy", lambda: job.told("UNHEALTHY") > told)
    job.behave("well")
    after = job.runs_anew(before)
    assert "/chk-" in after.restored_from
    job.progresses()
    del job.wanted["health"]["checkpointStall"]
    job.put()


def test_f58_a_failed_job_restarts_from_its_newest_checkpoint_and_its_budget_survives_a_new_leader(job: Job) -> None:
    job.wanted["flinkConfiguration"].update(BY_WEIR)
    before = job.view.status()
    job.put()
    before = job.runs_anew(before)
    job.progresses()
    total = job.record().restarts.total
    job.behave("fail")
    job.until("it failed twice", lambda: job.record().restarts.total >= total + 2)
    counted = job.record().restarts
    restarted_leader(job)
    job.behave("well")
    after = job.runs_anew(before)
    assert "/chk-" in after.restored_from
    now = job.record().restarts
    assert now.total >= counted.total
    assert now.attempt >= counted.attempt
    job.progresses()


@pytest.mark.parametrize(
    ("restart", "starts"),
    [
        ({"strategy": "none"}, 0),
        ({"strategy": "fixed-delay", "delay": "100ms", "attempts": 1, "jitter": 0.0}, 1),
        ({"strategy": "failure-rate", "delay": "100ms", "maxFailures": 1, "interval": "10m", "jitter": 0.0}, 1),
    ],
    ids=lambda value: value["strategy"] if isinstance(value, dict) else str(value),
)
def test_a_strategy_gives_a_crash_loop_up_and_a_person_lets_it_go_on(
    job: Job, restart: dict[str, Any], starts: int
) -> None:
    job.put(restart=restart)
    job.until("it is accepted", lambda: job.record().spec.restart.strategy == restart["strategy"])
    before, total = job.view.status(), job.record().restarts.total
    job.behave("fail")
    job.until("it failed", lambda: job.record().restarts.total > total)
    job.behave("die")  # now its main() fails, at every start
    job.until("the strategy gives up", lambda: job.view.status().lifecycle == "FAILED" and gave_up(job))
    assert job.record().generation.number == before.generation + starts
    assert "gave up" in job.view.status().why
    job.behave("well")
    job.wanted["restartNonce"] = job.wanted.get("restartNonce", 0) + 1
    job.put(restart=QUICK)
    after = job.runs_anew(before)
    assert "/chk-" in after.restored_from
    job.progresses()


def gave_up(job: Job) -> bool:
    record = job.record()
    return bool(record.restarts.gave_up and record.blocked == "RESTARTS_EXHAUSTED")


def test_a_spec_that_does_not_become_stable_is_rolled_back_and_a_newer_one_breaks_out(job: Job) -> None:
    before = job.view.status()
    job.wanted["restartNonce"] = job.wanted.get("restartNonce", 0) + 1
    # What is rolled back to has to become stable within this time as well.
    job.put(health={"stableAfter": "1s", "readinessTimeout": "60s", "rollback": True})
    good = job.runs_anew(before)
    job.lifecycle(Lifecycle.STABLE)
    job.progresses()
    args = job.wanted["job"]["args"]
    bad = [*args[:-1], str(job.mood.with_name("bad"))]
    job.mood.with_name("bad").write_text("die", encoding="utf-8")

    job.put("job", args=bad)
    job.lifecycle(Lifecycle.ROLLED_BACK)
    back = job.runs_anew(good)
    record = job.record()
    assert list(record.generation.spec.job.args) == args
    assert record.rolled_back == record.spec
    # No generation of the bad spec completed a checkpoint: it goes on from the savepoint of the good one.
    assert f"/{record.uid}/{good.generation}/" in back.restored_from
    assert "/chk-" not in back.restored_from
    job.progresses()
    assert job.record().generation.number == back.generation, "what failed is not tried again"

    job.put(env={"TRY": "2"})  # as bad as the one before, but newer: it is tried, and rolled back in its turn
    job.lifecycle(Lifecycle.ROLLING_BACK)
    job.wanted["env"] = {}
    better = [*args, "--better"]
    job.put("job", args=better)
    job.until("the better one is stable", lambda: stable_with(job, better))
    job.progresses()


def stable_with(job: Job, args: list[str]) -> bool:
    record = job.record()
    return record.lifecycle is Lifecycle.STABLE and list(record.generation.spec.job.args) == args


def test_a_launch_that_takes_too_long_is_given_up_and_tried_again(job: Job, world: World) -> None:
    slow = world.faulty("slow", flinkVersion="2.2.9", onDelete="cancel", restart=QUICK)
    slow.put(health={"launchTimeout": "2s"})
    slow.until("both tasks are given up and launched again", lambda: slow.told("LAUNCH_TIMEOUT") >= 3)
    assert {task.attempt for task in slow.record().tasks if task.role is Role.JOB_MANAGER} != {1}
    slow.delete()
    assert not slow.tasks()
    assert job.view.running() is not None, "beside it the other job ran on"


def test_a_bounded_job_finishes_beside_a_stream_and_stays_finished(job: Job, world: World) -> None:
    stream = job.view.status()
    bounded = world.faulty("bounded", "--bounded", onDelete="cancel")
    bounded.feeder.finish()
    bounded.behave("well")
    bounded.put()
    bounded.lifecycle(Lifecycle.FINISHED)
    bounded.until("its resources are given back", lambda: not bounded.tasks())
    assert bounded.sink.rows() == bounded.feeder.evens
    restarted_leader(job)
    job.until(
        "the new leader has seen it", lambda: bounded.view.status().leader_epoch == job.view.status().leader_epoch
    )
    record = bounded.record()
    assert (record.lifecycle, record.generation.number, record.tasks) == (Lifecycle.FINISHED, 1, ())
    assert job.runs(stream.generation).job_id == stream.job_id
    bounded.delete()


def test_the_webhook_was_told_of_all_this(job: Job, world: World) -> None:
    wanted = {"JOB_FAILED", "RESTARTS_EXHAUSTED", "UNHEALTHY", "NOT_READY", "SAVEPOINT_COMPLETED", "ROLLED_BACK"}
    job.until("every event was posted", lambda: wanted <= world.receiver.codes(job.name))


def test_f51_a_name_that_is_deleted_and_created_again_never_sees_the_old_state(job: Job, world: World) -> None:
    old, before = job.record(), job.view.status()
    job.complete()
    job.installation.delete(job.name)
    heir = world.faulty(job.name, onDelete="keep", restart=QUICK)  # the same name and the same directories
    heir.put()
    heir.until("the old life has ended", lambda: heir.record().uid != old.uid)
    after = heir.runs(1)
    assert (after.restored_from, after.job_id != before.job_id) == (None, True)
    found = ask(f"{after.job_manager_url}/jobs/{after.job_id}/checkpoints")
    assert found["latest"]["restored"] is None
    final = next(stone.path for stone in heir.record().tombstones if stone.uid == old.uid)
    assert path_of(final).exists(), "the savepoint of its end is kept"
    assert heir.installation.exists(f"/flink/{heir.record().generation.cluster_id}")
    assert not heir.installation.exists(f"/flink/{old.generation.cluster_id}")
    assert not [task for task in heir.installation.live_tasks() if f".{old.uid}." in task]


def test_a_job_that_is_deleted_with_keep_runs_on_under_the_next_leader(job: Job) -> None:
    tasks = job.tasks()
    url = job.view.status().job_manager_url
    job_id = job.view.status().job_id
    job.installation.delete(job.name)
    job.lifecycle(Lifecycle.DELETED)
    restarted_leader(job)
    job.until("it is registered again", job.installation.framework_active)
    assert job.tasks() == tasks
    assert (ask(f"{url}/jobs/{job_id}") or {}).get("state") == "RUNNING"
    for task in tasks:
        faults.kill_task(job.installation, task)
    job.until("the tasks are gone", lambda: not job.tasks())
