"""Maintenance: an agent is emptied ahead of time, and the job that was there loses no row."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.record import Role

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
Job = Any


def weir(made: World, *args: str) -> str:
    """Run `weir ARGS` against the installation; what it printed."""
    installation = made.installation
    script = str(Path(sys.executable).parent / "weir")
    command = [script, "--zk", installation.stack.zk, "--root", installation.root, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def on(job: Job, agent: str) -> list[str]:
    return [task.task_id for task in job.record().tasks if task.hostname == agent]


def test_a_drained_agent_is_emptied_and_its_job_goes_on_from_its_state(made: World) -> None:
    job = made.jar_evens("drained")
    job.wanted["job"]["parallelism"] = 2
    job.put()
    before = job.runs(1, parallelism=2)
    job.progresses()
    agent = next(task.hostname for task in job.record().tasks if task.role is Role.JOB_MANAGER)
    there = on(job, agent)
    print(f"{agent} holds {there}")
    begun = time.monotonic()
    try:
        said = weir(made, "drain", agent, "--reason", "new disks", "--wait", "--timeout", "5m")
        print(f"drained in {time.monotonic() - begun:.1f} s: {said}")
        assert said.splitlines()[-1] == f"nothing is left on {agent}"
        after = job.runs(1, parallelism=2)
        job.progresses()
        assert on(job, agent) == []
        assert not set(there) & job.tasks()
        assert after.job_id == before.job_id
        assert after.restarts == 0
        assert job.told("TASK_MOVED") == len(there)
        # A new generation is not placed there either.
        job.put(restartNonce=1)
        job.runs(2, parallelism=2)
        assert on(job, agent) == []
        job.complete()
    finally:
        weir(made, "undrain", agent)
