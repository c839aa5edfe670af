"""The supervisor with harmless programs as services: who dies when, who comes back, what is said of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.local import control
from integration.local.control import ServiceSpec, ServiceStatus
from integration.local.errors import LocalStackError, NotRunning, ServiceFailed, UnknownService
from integration.local.processes import STACK_MARK, alive, of_stack, sweep_stack, wait_gone

DEADLINE = 10.0


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Stack:
    """A supervisor of this test's own."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "integration.local.supervisor", str(self.state_dir), *arguments],
                env={**os.environ, STACK_MARK: str(self.state_dir)},
                stdout=subprocess.DEVNULL,
            )
        )
        eventually(lambda: control.alive(self.state_dir), "the supervisor does not answer")
        return self.processes[-1]

    def call(self, op: str, **arguments: Any) -> Any:
        return control.call(self.state_dir, op, timeout=DEADLINE, **arguments)

    def add(self, name: str, *argv: str, **spec: Any) -> int:
        full = ServiceSpec(
            name=name,
            argv=list(argv) or ["sleep", "1000"],
            env={"PATH": os.environ["PATH"]},
            cwd=str(self.state_dir),
            log=str(self.state_dir / f"{name}.log"),
            **spec,
        )
        return int(self.call("add", spec=full.to_json())["pid"])

    def status(self, name: str) -> ServiceStatus:
        return next(ServiceStatus(**item) for item in self.call("status") if item["name"] == name)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()
    sweep_stack(tmp_path)


def test_a_killed_service_stays_down_until_it_is_started(stack: Stack) -> None:
    stack.start()
    first = stack.add("a", restart_on_exit=True)
    stack.call("kill", name="a")
    assert not alive(first)
    assert (stack.status("a").state, stack.status("a").exit_code) == ("killed", -signal.SIGKILL)
    stack.call("start", name="a")
    assert stack.status("a").state == "running"
    assert stack.status("a").pid not in (None, first)


def test_adding_a_service_that_runs_leaves_it_alone(stack: Stack) -> None:
    stack.start()
    assert stack.add("a") == stack.add("a")


def test_a_service_that_dies_unasked_is_shown_with_its_exit_code_and_log(stack: Stack) -> None:
    stack.start()
    stack.add("a", "sh", "-c", "echo no room >&2; exit 7")
    eventually(lambda: stack.status("a").state == "exited", "it is not noticed")
    status = stack.status("a")
    assert (status.exit_code, status.pid) == (7, None)
    assert Path(status.log).read_text() == "no room\n"


def test_a_service_that_ends_by_itself_comes_back_where_that_is_its_policy(stack: Stack, tmp_path: Path) -> None:
    stack.start()
    stack.add("a", "sh", "-c", "[ -e been ] && exec sleep 1000; touch been; exit 1", restart_on_exit=True)
    eventually(lambda: stack.status("a").restarts == 1 and stack.status("a").state == "running", "it stays down")


def test_a_service_that_was_killed_by_somebody_else_does_not_come_back(stack: Stack) -> None:
    stack.start()
    os.kill(stack.add("a", restart_on_exit=True), signal.SIGKILL)
    eventually(lambda: stack.status("a").state == "exited", "it is not noticed")
    assert stack.status("a").exit_code == -signal.SIGKILL


def test_stop_insists_with_a_service_that_ignores_it(stack: Stack) -> None:
    stack.start()
    pid = stack.add("a", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    time.sleep(0.1)
    stack.call("stop", name="a", grace=0.2)
    assert not alive(pid)
    assert stack.status("a").state == "stopped"


def test_pause_and_resume(stack: Stack) -> None:
    stack.start()
    pid = stack.add("a")
    stack.call("pause", name="a")
    assert stack.status("a").state == "paused"
    eventually(lambda: "(sleep) T" in Path(f"/proc/{pid}/stat").read_text(), "it is not stopped")
    stack.call("resume", name="a")
    assert stack.status("a").state == "running"
    stack.call("pause", name="a")
    stack.call("kill", name="a")
    assert not alive(pid), "a paused service can be killed"


def test_kill_takes_the_children_of_a_service_along_but_not_those_of_an_agent(stack: Stack, tmp_path: Path) -> None:
    stack.start()
    script = "sleep 1000 & echo $! > {}.child; wait"
    stack.add("replica-1", "sh", "-c", script.format("replica"))
    # What an agent starts lives in a session of its own; the sandbox in its environment tells whose it is.
    home = tmp_path / "agents" / "agent-1"
    task = f"MESOS_SANDBOX={home}/work/run setsid sh -c 'echo $$ > agent.child; exec sleep 1000' & wait"
    stack.add("agent-1", "sh", "-c", task, kind="agent", sandboxes=str(home))
    eventually(lambda: all(_pid(tmp_path / f"{n}.child") for n in ("replica", "agent")), "children did not start")
    stack.call("kill", name="replica-1")
    stack.call("kill", name="agent-1")
    eventually(lambda: not alive(_pid(tmp_path / "replica.child")), "the replica's child lives")
    survivor = _pid(tmp_path / "agent.child")
    assert alive(survivor)
    assert stack.status("agent-1").tasks == [survivor]
    assert survivor in stack.call("kill", name="host-1")["killed"]
    assert not alive(survivor)


def _pid(path: Path) -> int:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text else 0


def test_when_the_supervisor_is_killed_its_services_die_with_it(stack: Stack) -> None:
    supervisor = stack.start()
    pids = [stack.add("a"), stack.add("b")]
    supervisor.kill()
    supervisor.wait()
    assert wait_gone(pids, 5.0) == set()
    with pytest.raises(NotRunning, match="weir local up"):
        stack.call("status")


def test_a_new_supervisor_takes_over_the_directory_of_a_killed_one(stack: Stack) -> None:
    stack.start().kill()
    stack.processes[0].wait()
    stack.start()
    stack.add("a")
    assert stack.status("a").state == "running"


def test_a_second_supervisor_of_one_directory_refuses_to_start(stack: Stack) -> None:
    stack.start()
    argv = [sys.executable, "-m", "integration.local.supervisor", str(stack.state_dir)]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 1
    assert stack.call("ping")["pid"] == stack.processes[0].pid


def test_everything_stops_when_the_owner_ends(stack: Stack) -> None:
    owner = subprocess.Popen(["sleep", "1000"])
    supervisor = stack.start(str(owner.pid))
    pid = stack.add("a")
    owner.kill()
    owner.wait()
    assert supervisor.wait(DEADLINE) == 0
    assert not alive(pid)


@pytest.mark.parametrize("how", ["command", "signal"])
def test_shutdown_leaves_no_process(stack: Stack, how: str) -> None:
    supervisor = stack.start()
    stack.add("a", "sh", "-c", "setsid sleep 1000 & wait")
    stack.add("b")
    if how == "command":
        stack.call("shutdown")
    else:
        supervisor.terminate()
    assert supervisor.wait(DEADLINE) == 0
    sweep_stack(stack.state_dir)  # the detached one was the service's own
    assert of_stack(stack.state_dir) == set()


def test_unknown_names_and_programs_are_refused_with_what_there_is(stack: Stack) -> None:
    stack.start()
    stack.add("a")
    with pytest.raises(UnknownService, match=r"no service b: known: a"):
        stack.call("kill", name="b")
    with pytest.raises(ServiceFailed, match="cannot start c: /no/such/program"):
        stack.add("c", "/no/such/program")
    with pytest.raises(LocalStackError, match="cannot dance"):
        stack.call("dance")


def test_a_long_state_directory_is_reached_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    stack = Stack(deep)
    try:
        stack.start()
        assert stack.call("status") == []
    finally:
        stack.processes[0].kill()
        stack.processes[0].wait()
