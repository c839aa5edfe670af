"""Maintenance: an agent is emptied ahead of time, and the job that was there loses no row."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
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


class Machine:
    """An agent's machine, as the maintenance endpoints of the master name it (Mesos docs, "Maintenance Primitives")."""

    def __init__(self, made: World, hostname: str) -> None:
        self.stack, self.hostname = made.installation.stack, hostname
        (agent,) = (each for each in self.ask("/master/slaves")["slaves"] if each["hostname"] == hostname)
        ip = agent["pid"].partition("@")[2].rpartition(":")[0]
        self.id = {"hostname": hostname, "ip": ip}
        layout = self.stack.layout
        numbers = range(1, layout.config.agents + 1)
        self.service = next(f"agent-{number}" for number in numbers if layout.agent_address(number)[0] == ip)

    def ask(self, path: str, body: object = None) -> Any:
        url = f"{self.stack.leader().url}{path}"
        answer = httpx.get(url, trust_env=False) if body is None else httpx.post(url, json=body, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def schedule(self, in_s: float, for_s: float) -> None:
        spans = {"start": time.time() + in_s, "duration": for_s}
        unavailability = {name: {"nanoseconds": int(seconds * 1e9)} for name, seconds in spans.items()}
        window = {"machine_ids": [self.id], "unavailability": unavailability}
        self.ask("/maintenance/schedule", {"windows": [window]})

    def active(self) -> bool:
        found = self.ask("/master/slaves")["slaves"]
        return any(each["hostname"] == self.hostname and each["active"] for each in found)

    def runs(self) -> bool:
        return bool(self.stack.service(self.service).state == "running")


@contextmanager
def back_afterwards(machine: Machine) -> Iterator[None]:
    """Whatever happens, the machine is up and without a window in the end."""
    try:
        yield
    finally:
        if machine.ask("/maintenance/status").get("down_machines"):
            machine.ask("/machine/up", [machine.id])
        machine.ask("/maintenance/schedule", {"windows": []})
        if not machine.runs():
            machine.stack.start(machine.service)


def test_f37_a_machine_is_empty_before_its_maintenance_window_and_is_used_again_after_it(made: World) -> None:
    job = made.jar_evens("maintained")
    job.wanted["job"]["parallelism"] = 2
    job.put()
    before = job.runs(1, parallelism=2)
    job.progresses()
    agent = next(task.hostname for task in job.record().tasks if task.role is Role.JOB_MANAGER)
    there, machine = on(job, agent), Machine(made, agent)
    print(f"{agent} holds {there}")
    with back_afterwards(machine):
        # The window begins in five minutes, which is within mesos.maintenance_lead_s.
        machine.schedule(in_s=300.0, for_s=3600.0)
        job.until("nothing of it is left there", lambda: not on(job, agent) and not set(there) & job.tasks())
        after = job.runs(1, parallelism=2)
        assert (after.job_id, after.restarts) == (before.job_id, 0)
        assert job.told("TASK_MOVED") == len(there)

        machine.ask("/machine/down", [machine.id])
        job.until("the master has let its agent go", lambda: not machine.active())
        machine.stack.stop(machine.service)
        job.progresses()
        assert job.runs(1, parallelism=2).restarts == 0

        machine.ask("/machine/up", [machine.id])
        machine.stack.start(machine.service)
        job.until("its agent is back", machine.active)
        job.put(restartNonce=1)
        job.runs(2, parallelism=2)
        assert on(job, agent)
        job.complete()
