"""Two endings in which the operator does not see what it needs when it happens, only afterwards."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.app.demo import faults
from reconciler.app.demo.harness import ask
from reconciler.app.demo.story import poll
from reconciler.model.record import Ending, EndMode, Lifecycle, Role

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any


@pytest.fixture(scope="module")
def job(world: World) -> Iterator[Job]:
    """One job for both; the tests run in this order."""
    with world.running(world.jar_evens("endings")) as made:
        yield made


def test_f62_a_checkpoint_that_completes_after_the_decision_is_the_one_that_is_restored(job: Job) -> None:
    stack, before = job.installation.stack, job.view.status()
    [manager] = job.view.tasks("jm")
    job.has_a_checkpoint()
    for agent in stack.layout.agents:  # they take no kill, and their tasks go on: alive, and soon unreachable
        stack.pause(agent)
    try:
        job.wanted["restartNonce"] = 1
        job.put("job", upgradeMode="last-state")
        ending = job.until("the intent is persisted", lambda: ending_of(job))
        assert ending.mode is EndMode.KILL
        decided = latest_checkpoint(before)
        late = job.until("later checkpoints complete", lambda: newer(latest_checkpoint(before), decided + 2))
        record = job.record()
        assert manager in {task.task_id for task in record.tasks}
        assert (record.generation.number, record.next_generation) == (1, 2)  # S1: nothing starts beside it
    finally:
        for agent in stack.layout.agents:
            stack.resume(agent)

    after = job.runs(2)
    assert chk(after.restored_from) >= late > decided
    assert f"/{before.job_id}/chk-" in after.restored_from
    job.progresses()


def test_f63_a_stop_whose_result_nobody_heard_and_flink_forgot_is_found_by_listing(job: Job) -> None:
    installation = job.installation
    [replica] = installation.replicas
    number = job.record().generation.number
    before = job.runs(number)
    [manager] = [task for task in job.record().tasks if task.role is Role.JOB_MANAGER]
    with silent(faults.processes_of(installation, manager.task_id)):  # it cannot end before the replica is dead
        job.wanted["restartNonce"] = job.wanted.get("restartNonce", 0) + 1
        job.put("job", upgradeMode="savepoint")
        ending = job.until("the intent is persisted", lambda: ending_of(job))
        installation.stack.kill(replica)
    asked = f"{before.job_manager_url}/jobs/{before.job_id}"
    # What the operator sent, or was about to send: the same trigger id makes it the same stop.
    body = {"targetDirectory": ending.directory, "drain": False, "triggerId": ending.trigger_id}
    httpx.post(f"{asked}/stop", json=body, timeout=10, trust_env=False).raise_for_status()
    poll("the job has finished", lambda: (ask(asked) or {}).get("state") == "FINISHED", 60.0, tick=None)
    faults.kill_task(installation, manager.task_id)  # with it goes what it knew about the stop
    [savepoint] = Path(ending.directory.removeprefix("file:")).glob("savepoint-*")

    installation.stack.start(replica)

    after = job.runs(number + 1)
    assert Path(after.restored_from.removeprefix("file:")) == savepoint
    job.complete()
    job.delete()
    assert job.record().lifecycle is Lifecycle.DELETED


@contextmanager
def silent(pids: list[int]) -> Iterator[None]:
    """SIGSTOP to these processes for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def ending_of(job: Job) -> Ending | None:
    generation = job.record().generation
    return generation.ending if generation else None


def latest_checkpoint(status: Any) -> int:
    """The newest completed checkpoint of a generation, asked of its JobManager; 0 if it does not answer."""
    found = ask(f"{status.job_manager_url}/jobs/{status.job_id}/checkpoints") or {"latest": {}}
    completed = found["latest"].get("completed")
    return int(completed["id"]) if completed else 0


def newer(number: int, than: int) -> int | None:
    return number if number >= than else None


def chk(path: str) -> int:
    match = re.search(r"/chk-(\d+)$", path)
    assert match, path
    return int(match[1])
