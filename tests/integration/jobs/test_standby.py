"""Standby JobManagers: one generation, several JobManagers, Flink elects which of them leads."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reconciler.app.demo import faults
from reconciler.app.demo.harness import ask
from reconciler.model.record import Role, Task

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any


def managers(job: Job) -> dict[str, Task]:
    """JobManager tasks of the record, by REST address."""
    return {
        f"http://{task.address}:{task.ports[0]}": task for task in job.record().tasks if task.role is Role.JOB_MANAGER
    }


def test_a_standby_takes_over_in_the_same_generation_and_is_replaced(made: World) -> None:
    job = made.even_ids("standby", jobManager={"cpus": 0.3, "memory": "704m", "replicas": 2})
    job.put()
    before = job.runs(1)
    assert before.tasks.job_manager == "2/2"
    job.progresses()
    found = managers(job)
    leader = before.job_manager_url
    [standby] = set(found) - {leader}
    # A standby answers for the leader: whichever is asked, the job is seen.
    job.until("the standby's REST API lists the job", lambda: listed(standby) == [before.job_id])

    killed_at = time.monotonic()
    faults.kill_task(made.installation, found[leader].task_id)
    job.until("the standby leads", lambda: job.view.status().job_manager_url == standby)
    after = job.runs(1)
    print(f"standby: runs again {time.monotonic() - killed_at:.1f} s after the kill")

    assert after.job_id == before.job_id
    assert after.tasks.job_manager == "2/2"
    [replacement] = set(managers(job)) - {standby}
    assert replacement != leader
    assert managers(job)[standby].task_id == found[standby].task_id
    job.progresses()
    # The savepoint upgrade ends both JobManagers.
    job.put(restartNonce=1)
    job.runs(2)
    job.complete()
    job.delete()
    assert not job.tasks()


def listed(url: str) -> list[str]:
    found = ask(f"{url}/jobs/overview") or {"jobs": []}
    return [job["jid"] for job in found["jobs"]]
