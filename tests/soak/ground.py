"""Where the soak runs: a stack, two replicas of Weir, jobs whose tasks are stand-ins, and what is measured of it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from integration.local.config import LocalConfig
from integration.local.flink_dist import DEFAULT_SERIES
from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.story import DemoFailed, poll
from reconciler.model.status import LeaderInfo
from tests.judged import user
from tests.soak.judge import Bound

STANDIN = Path(__file__).with_name("standin.py")
HISTORY = Bound("history bytes", "kB", 20.0)
SHORT = (
    Bound("memory", "MB", 200.0),
    Bound("threads", "threads", 300.0),
    Bound("descriptors", "files", 300.0),
    Bound("znodes", "nodes", 2.0),
    Bound("znode bytes", "kB", 500.0),
)
"""Memory, threads and descriptors are those of all replicas together; znodes all but ZooKeeper's own, and their bytes

all but the histories. A run that is too short to fill what is bounded (16 tombstones in each record, 200 events, what
Python keeps for the next time) still sees it fill; one status left behind by each cycle would be 1,000 kB.
"""
FULL = (
    Bound("memory", "MB", 10.0),
    Bound("threads", "threads", 5.0),
    Bound("descriptors", "files", 10.0),
    Bound("znodes", "nodes", 2.0),
    Bound("znode bytes", "kB", 20.0),
    HISTORY,
)


class Ground:
    """A context manager: everything runs inside, and nothing is left after it."""

    def __init__(self, directory: Path) -> None:
        self._java = directory / "java"
        self.stack = LocalStack(
            LocalConfig(
                state_dir=directory / "stack", masters=1, agents=2, port_base=None, owner_pid=os.getpid(),
                resources="cpus:64;mem:262144;disk:100000",
            )
        )  # fmt: skip
        self.weir: Installation
        self.users: KazooClient
        self._directory = directory
        self._open = ExitStack()

    def __enter__(self) -> Ground:
        self._java.parent.mkdir(parents=True, exist_ok=True)
        self._java.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {STANDIN} "$@"\n')
        self._java.chmod(self._java.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        settings = {
            f'flink.distributions."{DEFAULT_SERIES}"': {"java": str(self._java)},
            "limits": {"disruptions": 1_000_000},  # the cap would be what is measured
        }
        with ExitStack() as opening:
            opening.callback(self.stack.down)
            self.stack.up()
            self.weir = opening.enter_context(
                Installation(self.stack, self._directory, replicas=2, prefix="soak", settings=settings)
            )
            self.users = opening.enter_context(user(self.stack.zk))
            self.weir.start()
            poll("a replica leads", self.weir.leader, 120.0, tick=self.weir.check)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    # leadership

    def silence(self) -> LeaderInfo:
        """Stop the leader's process (SIGSTOP); its ZooKeeper session expires. Who led."""
        leader: LeaderInfo = poll("a replica leads", self.weir.leader, 60.0)
        self.stack.pause(leader.replica)
        return leader

    def succeeded(self, old: LeaderInfo) -> bool:
        """Whether another leads; then the old one goes on, and stands in line."""
        leader = self.weir.leader()
        if leader is None or leader.epoch == old.epoch:
            return False
        self.stack.resume(old.replica)
        return True

    # measuring

    def measure(self) -> dict[str, float]:
        """By the names of the bounds. Raises DemoFailed when a replica ended by itself."""
        self.weir.check()
        pids = [status.pid for status in self.stack.status() if status.name in self.weir.replicas]
        if None in pids:
            raise DemoFailed(f"a replica has no process: {pids}")
        sizes = dict(self._sizes("/"))
        history = sum(size for path, size in sizes.items() if path.startswith(f"{self.weir.root}/events/"))
        return {
            "memory": sum(_status(pid, "VmRSS") for pid in pids if pid) / 1024,
            "threads": sum(_status(pid, "Threads") for pid in pids if pid),
            "descriptors": sum(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) for pid in pids),
            "znodes": len(sizes),
            "znode bytes": (sum(sizes.values()) - history) / 1000,
            "history bytes": history / 1000,
        }

    def _sizes(self, path: str) -> Iterator[tuple[str, int]]:
        try:
            names, found = self.users.get_children(path, include_data=True)
        except NoNodeError:
            return
        yield path, found.dataLength
        for name in names:
            if path != "/" or name != "zookeeper":
                yield from self._sizes(f"{path.rstrip('/')}/{name}")


def _status(pid: int, key: str) -> int:
    """A number of /proc/PID/status; sizes are in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
