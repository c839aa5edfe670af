"""Real ZooKeeper and Mesos, and replicas of Weir whose Flink is a process that sleeps.

Everything is as it is shipped (`weir run` in processes of its own), but for the program that the tasks run: what is
measured here ends with a task's state in Mesos, so its JVM would only load the machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from kazoo.client import KazooClient

from integration.local.config import LocalConfig
from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation
from state.client import connect
from tests.bench.wire import Wire

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
SPEC: dict[str, Any] = {
    "flinkVersion": "2.2",
    "job": {"type": "python", "uri": "file:///srv/job.py"},
    "jobManager": {"cpus": 0.1},
    "taskManager": {"cpus": 0.1},
    "restart": {"strategy": "fixed-delay", "delay": "0s"},
}
RESOURCES = "cpus:1000;mem:4000000;disk:1000000"


class _Installation(Installation):
    """May run another program in place of `weir`."""

    runner: Sequence[str] = ()

    def command(self, replica: str) -> list[str]:
        command = super().command(replica)
        return [*self.runner, *command[command.index("run") :]] if self.runner else command


class Ground:
    """A stack of one ZooKeeper, one master and one agent, with a wire before the master."""

    def __init__(self, directory: Path, opened: ExitStack) -> None:
        self.directory = directory
        self._open = opened
        config = LocalConfig(
            state_dir=directory / "stack", masters=1, agents=1, port_base=None, ports_per_agent=1000,
            resources=RESOURCES, owner_pid=os.getpid(),
        )  # fmt: skip
        self.stack = LocalStack(config)
        opened.callback(self.stack.down)
        self.stack.up()
        self.wire = opened.enter_context(Wire(self.stack.layout.master_address(1)))
        self.users: KazooClient = connect(self.stack.zk, session_timeout=30.0)
        opened.callback(self.users.close)
        opened.callback(self.users.stop)
        self.sleeper = directory / "sleeper"
        self.sleeper.write_text("#!/bin/sh\nexec /bin/sleep 100000\n")
        self.sleeper.chmod(0o755)

    def weir(
        self,
        root: str = "/weir",
        replicas: int = 1,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        runner: Sequence[str] = (),
    ) -> Installation:
        """Replicas that are configured as by default, but for what is said here; they are not started yet.

        `runner` are arguments of Python that stand for the program `weir`.
        """
        settings = settings or {}
        chosen: dict[str, Mapping[str, Any]] = {
            "mesos": {"master": self.wire.address},
            'flink.distributions."2.2"': {"java": str(self.sleeper)},
            "jobs": {"check_files": False},
            # Faults are made faster here than the cap on disruptions allows by default.
            "limits": {"disruptions": 100_000},
            "api": {"listen": "off"},
            "log": {"format": "json"},
        }
        for section, values in settings.items():
            chosen[section] = {**chosen.get(section, {}), **values}
        weir = _Installation(self.stack, self.directory, root=root, replicas=replicas, settings=chosen,
                            prefix=f"weir{root.replace('/', '-')}")  # fmt: skip
        weir.runner = [sys.executable, *runner] if runner else []
        self._open.callback(weir.close)
        return weir

    def put(self, root: str, name: str, /, **changes: Any) -> float:
        """Write desired state; when the write began."""
        data = json.dumps({**SPEC, **changes}).encode()
        began = time.perf_counter()
        self.users.create(f"{root}/jobs/{name}", data)
        return began

    @contextmanager
    def floor(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """One of `tests.bench.bare`, ready; its framework is torn down at the end."""
        command = [sys.executable, "-m", "tests.bench.bare", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"{' '.join(command)} ended with {process.wait()}")
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end_task(self, *names: str) -> None:
        """SIGKILL to the program of the task whose id has all of these in it: Mesos says FAILED."""
        os.kill(until(f"{' '.join(names)} sleeps", lambda: _sleeper(names)), signal.SIGKILL)


@contextmanager
def ground() -> Iterator[Ground]:
    """Everything is gone at the end."""
    with ExitStack() as opened:
        directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        yield Ground(directory, opened)


def until(what: str, ready: Callable[[], T | None], timeout: float = 60.0, every: float = 0.02) -> T:
    """Poll. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(every)
    return found


def _sleeper(names: tuple[str, ...]) -> int | None:
    """The process of a task, by the sandbox that it lives in."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            executor = str((entry / "cwd").readlink()).partition("/executors/")[2].partition("/runs/")[0]
            if executor and all(name in executor for name in names) and (entry / "comm").read_text().strip() == "sleep":
                return int(entry.name)
        except OSError:
            continue
    return None
