"""The command line on the in-memory store: no server, no clock, no waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from integration.mesos.sandbox import SandboxFiles
from reconciler.app.cli import cli
from reconciler.app.cli_services import JobStore, LocalAddresses, Services
from reconciler.app.config import ZooKeeper
from reconciler.model.record import Record
from reconciler.model.status import LeaderInfo, Observed, Status
from state.codec import encode_record, encode_status
from state.memory import MemoryElection, MemorySession, MemoryStore, MemoryTree
from state.znodes import MemoryZnodes

NOW = 1_800_000_000.0
SPEC: dict[str, Any] = {
    "flinkVersion": "2.2",
    "job": {"type": "python", "uri": "file:///srv/jobs/even_ids.py", "parallelism": 2},
}


class World:
    """An installation with one user in front of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = MemoryTree()
        self.store = MemoryStore(self.tree)
        self.znodes = MemoryZnodes()
        """The tree as backup and restore see it."""
        self.sandbox_files: Callable[[], SandboxFiles] = SandboxFiles
        self.find_master: Callable[[str], str | None] = lambda _: None
        self.opened: list[tuple[str, str]] = []
        self.settings = ZooKeeper()
        """How ZooKeeper was reached last, but for its address."""
        self.local: LocalAddresses | None = None
        self.clock = NOW
        self.on_sleep: Callable[[int], None] = lambda _: None
        self.sleeps = 0
        self.leads()

    @contextmanager
    def open(self, hosts: str, root: str, settings: ZooKeeper) -> Iterator[JobStore]:
        self.opened.append((hosts, root))
        self.settings = settings
        yield MemoryStore(session=MemorySession(self.tree))

    @contextmanager
    def open_znodes(self, hosts: str, settings: ZooKeeper) -> Iterator[MemoryZnodes]:
        self.settings = settings
        self.opened.append((hosts, ""))
        yield self.znodes

    def weir(self, *args: str, text: str | None = None, env: dict[str, str] | None = None) -> Result:
        """Run `weir ARGS`."""
        services = Services(
            open_store=self.open,
            open_soon=self.open,
            open_znodes=self.open_znodes,
            sandbox_files=lambda _: self.sandbox_files(),
            find_master=lambda master, _: self.find_master(master),
            find_local=lambda: self.local,
            now=lambda: self.clock,
            monotonic=lambda: self.clock,
            sleep=self._sleep,
        )
        clean = {**dict.fromkeys(("WEIR_ZK", "WEIR_ROOT", "WEIR_CONFIG", "WEIR_DEBUG")), **(env or {})}
        return CliRunner().invoke(cli, list(args), obj=services, input=text, env=clean)

    def _sleep(self, seconds: float) -> None:
        self.clock += seconds
        self.sleeps += 1
        self.on_sleep(self.sleeps)

    def file(self, content: object, name: str = "even-ids.yaml") -> str:
        """A spec file; objects are written as JSON, text as it is."""
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def put(self, name: str = "even-ids", data: object = SPEC) -> None:
        """Desired state, as somebody would write it with zkCli."""
        self.store.put_job(name, data if isinstance(data, bytes) else json.dumps(data).encode())

    def stored(self, name: str = "even-ids") -> bytes:
        raw = self.store.load_job(name)
        assert raw is not None
        return raw.data

    def says(self, name: str = "even-ids", **fields: Any) -> None:
        """What the leader says of a job; of the newest desired state, unless `observed` says otherwise."""
        raw = self.store.load_job(name)
        observed = Observed(czxid=raw.ref.czxid, version=raw.ref.version) if raw else None
        values = {"lifecycle": "STABLE", "why": "running and stable", "observed": observed, "generation": 1, **fields}
        self.tree.put(self.tree.status, name, encode_status(Status(**values)))

    def remembers(self, record: Record) -> None:
        self.tree.put(self.tree.records, record.name, encode_record(record))

    def leads(self) -> None:
        info = LeaderInfo(replica="replica-1", host="host-1", pid=4711, version="0.1.0", since="2027-01-15T08:00:00Z")
        MemoryElection(self.tree).acquire(info)

    def nobody_leads(self) -> None:
        self.tree.leader = None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
