"""The installed command `weir`, as a process, against the real stack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from integration.local.stack import LocalStack
from state.client import connect

WEIR = str(Path(sys.executable).parent / "weir")
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Installation:
    """One installation of its own on the shared stack: its root, and what it runs on."""

    stack: LocalStack
    root: str
    zk: KazooClient
    directory: Path

    def weir(self, *args: str, text: str | None = None, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run `weir ARGS` with this installation's address."""
        return run(*args, text=text, timeout=timeout, WEIR_ZK=self.stack.zk, WEIR_ROOT=self.root)

    def spec(self, **changes: Any) -> dict[str, Any]:
        """A job that runs on the stack; `changes` are merged into its sections."""
        source, sink = self.directory / "in", self.directory / "out"
        source.mkdir(exist_ok=True)
        spec: dict[str, Any] = {
            "flinkVersion": "2.2",
            "job": {
                "type": "python",
                "uri": (ROOT / "examples" / "even_ids.py").as_uri(),
                "args": ["--input", str(source), "--output", str(sink)],
            },
            "health": {"stableAfter": "2s"},
            "onDelete": "cancel",
        }
        for key, value in changes.items():
            spec[key] = {**spec.get(key, {}), **value} if isinstance(value, dict) else value
        return spec

    def small(self, **changes: Any) -> dict[str, Any]:
        """A job that checkpoints every second and fits beside others."""
        given: dict[str, Any] = {
            "jobManager": {"cpus": 0.3, "memory": "704m"},
            "taskManager": {"cpus": 0.3, "memory": "1g", "slots": 1},
            "flinkConfiguration": {"execution.checkpointing.interval": "1s"},
            **changes,
        }
        return self.spec(**given)

    def file(self, spec: object, name: str) -> str:
        path = self.directory / name
        path.write_text(spec if isinstance(spec, str) else json.dumps(spec))
        return str(path)

    def write(self, name: str, data: bytes) -> None:
        """Desired state as somebody writes it who does not use `weir`."""
        path = f"{self.root}/jobs/{name}"
        if self.zk.exists(path) is None:
            self.zk.create(path, data, makepath=True)
        else:
            self.zk.set(path, data)

    def status(self, name: str) -> dict[str, Any]:
        path = f"{self.root}/status/{name}"
        if self.zk.exists(path) is None:
            return {}
        status: dict[str, Any] = json.loads(self.zk.get(path)[0])
        return status

    def until(self, name: str, what: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        """The status once `what` holds of it."""
        deadline = time.monotonic() + seconds
        while not what(status := self.status(name)):
            assert time.monotonic() < deadline, f"after {seconds:g} s the status of {name} is {status}"
            time.sleep(0.1)
        return status


class Replica:
    """A `weir run` process."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.log = installation.directory / f"{name}.log"
        config = installation.directory / f"{name}.toml"
        flink = installation.stack.flink["2.2"]
        config.write_text(
            f"""
[zookeeper]
hosts = "{installation.stack.zk}"
root = "{installation.root}"
session_timeout_s = 4.0
[mesos]
master = "{installation.stack.master_url}"
framework_name = "weir{installation.root.replace("/", "-")}"
[storage]
uri = "{installation.stack.storage_dir.as_uri()}"
[flink]
zookeeper_root = "/flink{installation.root}"
[flink.distributions."2.2"]
version = "{flink.version}"
home = "{flink.home}"
python = "{flink.python}"
[jobs]
max_task_cpus = 4.0
max_task_memory_mb = 4096
[log]
format = "json"
"""
        )
        argv = [WEIR, "run", "--config", str(config), "--replica", name]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, env=environment())

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15.0)
        finally:
            self.process.kill()

    def events(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


def environment(**extra: str) -> dict[str, str]:
    """Nothing of the caller's own settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WEIR_")}
    return {**kept, "WEIR_LOCAL_STATE": "/nonexistent/weir", **extra}


def run(*args: str, text: str | None = None, timeout: float = 60.0, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WEIR, *args], input=text or "", env=environment(**extra), capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installation(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An empty installation on the shared stack."""
    client = connect(stack.zk)
    root = f"/cli-{uuid.uuid4().hex[:8]}"
    yield Installation(stack, root, client, tmp_path_factory.mktemp("cli"))
    client.delete(root, recursive=True)
    client.stop()
    client.close()


@pytest.fixture(scope="module")
def replica(installation: Installation) -> Iterator[Replica]:
    """One leading replica."""
    process = Replica(installation, "replica-1")
    deadline = time.monotonic() + 30.0
    while installation.weir("leader").returncode != 0:
        assert process.process.poll() is None, process.log.read_text()
        assert time.monotonic() < deadline, process.log.read_text()
    yield process
    process.stop()
