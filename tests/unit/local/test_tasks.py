"""Tasks of a stack are found and killed by their ids: the JVM, never its executor, never another stack's."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.local import tasks
from integration.local.config import Layout, LocalConfig
from integration.local.errors import UnknownTask

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(LocalConfig(state_dir=tmp_path / "stack", port_base=22500, task_port_base=11000))


@pytest.fixture
def start(layout: Layout, tmp_path: Path) -> Iterator[Start]:
    """Starts a process that sleeps, under the name of a program, as a task of an agent."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(task: str, *, program: str = "java", sandbox: Path | None = None) -> subprocess.Popen[bytes]:
        path = tmp_path / program
        if not path.exists():
            shutil.copy(Path(shutil.which("sleep") or "/bin/sleep").resolve(), path)
        where = sandbox or layout.agent_dir(1) / "work"
        process = subprocess.Popen([path, "1000"], env={"MESOS_SANDBOX": str(where), "MESOS_TASK_ID": task})
        started.append(process)
        deadline = time.monotonic() + 5
        while not Path(f"/proc/{process.pid}/environ").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.005)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_a_pattern_kills_the_tasks_that_it_fits_and_no_other(layout: Layout, start: Start, tmp_path: Path) -> None:
    worker, manager = start("orders.11b0681f6d.2.tm.0.5"), start("orders.11b0681f6d.2.jm.0.3")
    executor = start("orders.11b0681f6d.2.tm.0.5", program="python3")
    elsewhere = start("orders.11b0681f6d.2.tm.0.5", sandbox=tmp_path / "other" / "agents" / "agent-1")

    assert tasks.kill(layout, "orders.*.tm.*") == ["orders.11b0681f6d.2.tm.0.5"]

    assert worker.wait(5) == -signal.SIGKILL
    assert [process.poll() for process in (manager, executor, elsewhere)] == [None, None, None]


def test_an_id_that_no_task_has_is_refused_with_those_that_run(layout: Layout, start: Start) -> None:
    start("orders.11b0681f6d.2.jm.0.3")

    with pytest.raises(UnknownTask, match=r"no task orders\.tm: running: orders\.11b0681f6d\.2\.jm\.0\.3"):
        tasks.kill(layout, "orders.tm")
