"""Whose a process is: told by its environment and descent, never by its name."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.local.processes import STACK_MARK, alive, of_sandboxes, of_stack, sweep_stack, wait_gone


class Sleepers:
    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *argv: str, **env: str) -> int:
        process = subprocess.Popen(
            argv or ("sleep", "1000"), env={"PATH": os.environ["PATH"], **env}, start_new_session=True
        )
        self.started.append(process)
        deadline = time.monotonic() + 5
        while not Path(f"/proc/{process.pid}/environ").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.005)
        return process.pid


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    made = Sleepers()
    yield made
    for process in made.started:
        process.kill()
        process.wait()


def test_marked_processes_and_sandboxes_of_this_directory_are_ours(sleepers: Sleepers, tmp_path: Path) -> None:
    server = sleepers.start(**{STACK_MARK: str(tmp_path)})
    task = sleepers.start(MESOS_SANDBOX=f"{tmp_path}/agents/agent-1/work/x")
    assert of_stack(tmp_path) == {server, task}
    assert of_sandboxes(tmp_path / "agents" / "agent-1") == {task}


def test_another_stack_with_a_similar_name_is_not_ours(sleepers: Sleepers, tmp_path: Path) -> None:
    sleepers.start(**{STACK_MARK: f"{tmp_path}-2"})
    sleepers.start(MESOS_SANDBOX=f"{tmp_path}-2/agents/agent-1/work/x")
    sleepers.start(MESOS_SANDBOX=f"{tmp_path}/agents/agent-10/work/x")
    assert of_sandboxes(tmp_path / "agents" / "agent-1") == set()
    assert len(of_stack(tmp_path)) == 1


def test_somebody_who_only_stands_in_a_sandbox_is_not_ours(tmp_path: Path) -> None:
    visitor = subprocess.Popen(["sleep", "1000"], cwd=tmp_path)
    try:
        assert of_stack(tmp_path) == set()
    finally:
        visitor.kill()
        visitor.wait()


def test_descendants_with_another_environment_are_ours_too(sleepers: Sleepers, tmp_path: Path) -> None:
    parent = sleepers.start("sh", "-c", "env -i sleep 1000 & wait", **{STACK_MARK: str(tmp_path)})
    deadline = time.monotonic() + 5
    while len(of_stack(tmp_path)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    swept = sweep_stack(tmp_path)
    assert parent in swept
    assert len(swept) == 2
    assert wait_gone(swept, 1.0) == set()


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    assert wait_gone([process.pid], 5.0) == set()
    assert not alive(process.pid)
    process.wait()
