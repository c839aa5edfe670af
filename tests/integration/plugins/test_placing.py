"""Constraints on the real stack: a replica of its own, real agents, and real TaskManagers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation
from reconciler.model.record import Role, Task

pytestmark = pytest.mark.stack

JOB = "apart"
EVEN_IDS = Path(__file__).parents[3] / "examples" / "even_ids.py"


@pytest.fixture
def weir(stack: LocalStack, tmp_path: Path) -> Iterator[Installation]:
    """One replica with a root of its own; the job is deleted at the end, so that the agents are free again."""
    name = f"placing-{uuid.uuid4().hex[:6]}"
    with Installation(stack, tmp_path, root=f"/{name}", replicas=1, prefix=name) as installed:
        installed.start()
        eventually(lambda: installed.framework_id() is not None, "the replica registers", installed)
        yield installed
        if installed.exists(f"{installed.root}/jobs/{JOB}"):
            installed.delete(JOB)
            eventually(lambda: not installed.live_tasks() & tasks_of(installed), "the job is deleted", installed)
        installed.stop()


def eventually(what: Callable[[], Any], goal: str, weir: Installation, seconds: float = 90.0) -> Any:
    """The first true value of `what`; fails with the status of the job."""
    until = time.monotonic() + seconds
    while not (value := what()):
        if time.monotonic() > until:
            pytest.fail(f"not within {seconds:g} s: {goal}; status: {weir.status(JOB)}")
        time.sleep(0.2)
    return value


def tasks_of(weir: Installation) -> set[str]:
    return {task for task in weir.mesos_tasks() if task.startswith(f"{JOB}.")}


def placed(weir: Installation) -> list[Task]:
    """TaskManagers that were placed."""
    record = weir.record(JOB)
    return [task for task in record.tasks if task.placed and task.role is Role.TASK_MANAGER] if record else []


def job(directory: Path, constraints: list[list[str]]) -> dict[str, Any]:
    """Three small TaskManagers; together they fit on one agent, so only the constraints keep them apart."""
    source = directory / "in"
    source.mkdir()
    return {
        "flinkVersion": "2.2",
        "job": {
            "type": "python", "uri": EVEN_IDS.as_uri(), "parallelism": 3,
            "args": ["--input", str(source), "--output", str(directory / "out")],
        },
        "jobManager": {"cpus": 0.2, "memory": "768m"},
        "taskManager": {"cpus": 0.2, "memory": "1g", "slots": 1},
        "placement": {"constraints": constraints},
        "onDelete": "cancel",
    }  # fmt: skip


def test_the_third_taskmanager_on_two_agents_waits_for_a_unique_host_and_says_why(
    weir: Installation, tmp_path: Path
) -> None:
    hosts = weir.active_agents()
    assert len(hosts) == 2

    weir.put(JOB, job(tmp_path, [["hostname", "UNIQUE"]]))

    eventually(lambda: len(placed(weir)) == 2, "two TaskManagers are placed", weir)
    status = eventually(
        lambda: (found := weir.status(JOB)) is not None and "hostname UNIQUE" in found.why and found,
        "the third one says why it waits",
        weir,
    )
    assert {task.hostname for task in placed(weir)} == hosts
    assert "needs 0.2 cpus, 1024 MiB and 3 ports; constraint hostname UNIQUE refuses" in status.why
    assert "1 placed already" in status.why


def test_taskmanagers_of_one_rack_stay_there_and_the_rack_is_remembered(weir: Installation, tmp_path: Path) -> None:
    weir.put(JOB, job(tmp_path, [["rack", "IS", "r2"]]))

    eventually(lambda: len(placed(weir)) == 3, "three TaskManagers are placed", weir)

    assert {tuple((each.name, each.value) for each in task.attributes) for task in placed(weir)} == {(("rack", "r2"),)}
    assert len({task.hostname for task in placed(weir)}) == 1
