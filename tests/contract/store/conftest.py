"""Two trees on which the same suite runs: the fake in memory, and the ZooKeeper of the local stack."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from reconciler.model.record import Record, SpecRef
from reconciler.model.status import JobEvent, LeaderInfo, Status
from reconciler.ports import Election, Lease
from state.client import KazooClient, connect
from state.election import ZooKeeperElection
from state.layout import Layout
from state.memory import OPERATOR, MemoryElection, MemorySession, MemoryStore, MemoryTree
from state.zookeeper import ZooKeeperStore
from tests.contract.store.secured import secured, secured_server

__all__ = ["secured", "secured_server"]

SESSION_S = 4.0
DEADLINE_S = 20.0


def eventually(what: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """The first true value of `what`; fails after the deadline."""
    until = time.monotonic() + deadline_s
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < until, f"still {value!r} after {deadline_s:g} s"
        time.sleep(0.01)


class Replica:
    """One replica's connection: its store and its election."""

    def __init__(self, name: str, store: Any, election: Election) -> None:
        self.name = name
        self.store = store
        self.election = election

    def info(self) -> LeaderInfo:
        return LeaderInfo(replica=self.name, host="host-1", pid=1, version="0.1.0")

    def lead(self, timeout: float = DEADLINE_S) -> Lease:
        lease = self.election.acquire(self.info(), timeout=timeout)
        assert lease is not None, "does not lead"
        return lease


class MemoryWorld:
    """Replicas on one `MemoryTree`."""

    real = False

    def __init__(self) -> None:
        self.tree = MemoryTree()
        self._count = 0

    def replica(self) -> Replica:
        self._count += 1
        session = MemorySession(self.tree)
        name = f"replica-{self._count}"
        return Replica(name, MemoryStore(session=session), MemoryElection(session=session))

    def write(self, folder: str, name: str, data: bytes) -> None:
        self.tree.put(getattr(self.tree, folder), name, data)

    def nodes(self, folder: str) -> set[str]:
        return set(getattr(self.tree, folder))

    def remove_desired_tree(self) -> None:
        self.tree.delete_jobs_node()

    def create_desired_tree(self) -> None:
        self.tree.create_jobs_node()

    def forget_set_up(self) -> None:
        self.tree.schema = None

    def set_schema(self, version: int) -> None:
        self.tree.schema = version

    def write_operator(self, data: bytes) -> None:
        self.tree.put(self.tree.operator, OPERATOR, data)

    def expire(self, replica: Replica) -> None:
        replica.store.session.expire()

    def bump_epoch(self) -> None:
        self.tree.bump_epoch()

    def close(self) -> None:
        pass


class ZooKeeperWorld:
    """Replicas on a root of their own on a real ZooKeeper."""

    real = True

    def __init__(self, hosts: str) -> None:
        self.hosts = hosts
        self.layout = Layout(f"/weir-test-{uuid.uuid4().hex[:12]}")
        self.admin = connect(hosts, session_timeout=SESSION_S)
        self._clients: dict[str, KazooClient] = {}
        self._elections: list[ZooKeeperElection] = []
        ZooKeeperStore(self.admin, self.layout.root).ensure_layout()

    def replica(self, hosts: str | None = None) -> Replica:
        name = f"replica-{len(self._clients) + 1}"
        client = connect(hosts or self.hosts, session_timeout=SESSION_S)
        self._clients[name] = client
        election = ZooKeeperElection(client, self.layout.root, SESSION_S)
        self._elections.append(election)
        return Replica(name, ZooKeeperStore(client, self.layout.root, timeout=5.0), election)

    def client(self, replica: Replica) -> KazooClient:
        return self._clients[replica.name]

    def write(self, folder: str, name: str, data: bytes) -> None:
        path = f"{self.layout.root}/{folder}/{name}"
        if self.admin.exists(path):
            self.admin.set(path, data)
        else:
            self.admin.create(path, data)

    def nodes(self, folder: str) -> set[str]:
        return set(self.admin.get_children(f"{self.layout.root}/{folder}"))

    def remove_desired_tree(self) -> None:
        self.admin.delete(self.layout.jobs, recursive=True)

    def create_desired_tree(self) -> None:
        self.admin.create(self.layout.jobs)

    def forget_set_up(self) -> None:
        self.admin.delete(self.layout.schema)

    def write_operator(self, data: bytes) -> None:
        self.admin.set(self.layout.operator, data)

    def set_schema(self, version: int) -> None:
        self.admin.set(self.layout.schema, str(version).encode())

    def expire(self, replica: Replica) -> None:
        """End the session on the server, as if it had been silent for too long."""
        thief = KazooClient(hosts=self.hosts, client_id=self.client(replica).client_id)
        thief.start(timeout=DEADLINE_S)
        thief.stop()
        thief.close()

    def bump_epoch(self) -> None:
        number = int(self.admin.get(self.layout.epoch)[0])
        self.admin.set(self.layout.epoch, str(number + 1).encode())

    def close(self) -> None:
        for election in self._elections:
            election.stop()
        for client in self._clients.values():
            with suppress(Exception):
                client.stop()
                client.close()
        self.admin.delete(self.layout.root, recursive=True)
        self.admin.stop()
        self.admin.close()


class Samples:
    """Values that the suites write."""

    @staticmethod
    def record(name: str = "orders", **changes: Any) -> Record:
        return Record(**{"name": name, "uid": "0123456789", "seen": SpecRef(7, 0), "blocked_why": "new"} | changes)

    @staticmethod
    def status(why: str = "running") -> Status:
        return Status(lifecycle="STABLE", why=why, leader_epoch=1, time="2026-01-01T00:00:00Z")

    @staticmethod
    def event(message: str = "seen", code: str = "CREATED") -> JobEvent:
        return JobEvent(time="2026-01-01T00:00:00Z", code=code, message=message)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def samples() -> Samples:
    return Samples()


@pytest.fixture(params=["memory", pytest.param("zookeeper", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: Any = MemoryWorld()
    if request.param == "zookeeper":
        made = ZooKeeperWorld(request.getfixturevalue("stack").zk)
    yield made
    made.close()


@pytest.fixture
def zookeeper(stack: Any) -> Iterator[ZooKeeperWorld]:
    """For what only a real ZooKeeper shows."""
    made = ZooKeeperWorld(stack.zk)
    yield made
    made.close()
