"""A leader on the shipped fakes with a monitor, and the API in front of it: no server, no network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from integration.flink.rest import RestClient
from integration.mesos.inventory import AgentInfo
from integration.mesos.sandbox import FileEnd, NoSandbox
from reconciler.app.api import application
from reconciler.app.api.checkpoints import CheckpointReader
from reconciler.app.api.context import Context
from reconciler.app.api.tokens import Tokens
from reconciler.app.monitoring import monitor as monitoring
from reconciler.app.monitoring.monitor import Monitor
from reconciler.model.status import JobEvent, LeaderInfo
from reconciler.ports import StoreUnavailable
from tests.unit.loop.bench import Leader, World

CHECKPOINTS = {
    "history": [
        {
            "id": number, "status": "COMPLETED", "is_savepoint": number == 3,
            "trigger_timestamp": 1_000_000_000 + number,
            "end_to_end_duration": 120 * number, "state_size": 4096 * number,
        }
        for number in (3, 2, 1)
    ]
}  # fmt: skip


OPERATE, READ, TEAM = "operate-token-0123456789", "read-token-0123456789", "team-token-0123456789"
TOKENS = f"""# role token [prefix]
operate {OPERATE}
read    {READ}   # of the dashboards
operate {TEAM} team-
"""


class Tree:
    """What the API reads itself, with a switch that makes ZooKeeper silent."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.silent = False
        self.other: LeaderInfo | None = None

    def load_leader(self) -> LeaderInfo | None:
        self._answers()
        return self.other or self.world.users.load_leader()

    def load_events(self, name: str) -> tuple[JobEvent, ...]:
        self._answers()
        return self.world.users.load_events(name)

    def load_framework_id(self) -> str | None:
        self._answers()
        return self.world.users.load_framework_id()

    def load_replicas(self) -> Sequence[str]:
        self._answers()
        return ["r", "r2"]

    def _answers(self) -> None:
        if self.silent:
            raise StoreUnavailable("connection loss")


class Site:
    """One replica and its API."""

    def __init__(self, tokens: str | None = None) -> None:
        self.world = World()
        self.monitor = Monitor()
        self.tree = Tree(self.world)
        self.connected = True
        self.leader: Leader | None = None
        self.flink_answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200, json=CHECKPOINTS)
        rest = RestClient(transport=httpx.MockTransport(lambda request: self.flink_answer(request)))
        self.context = Context(
            replica="r",
            host="h",
            monitor=self.monitor,
            reads=self.tree,
            zookeeper_connected=lambda: self.connected,
            logs=self.read_log,
            agents=lambda master: [AgentInfo("a9", "idle-host", True, 8.0, 4096.0, 0.0, 0.0, {"rack": "r1"})],
        )
        self.tokens = Tokens(tokens)
        self.app = application.build(self.context, self.tokens, self.world.users, checkpoints=CheckpointReader(rest))
        self.http = TestClient(self.app, follow_redirects=False, raise_server_exceptions=False)

    def read_log(self, master: str, agent_id: str, task_id: str, name: str, length: int) -> FileEnd:
        if name == "stderr":
            raise NoSandbox("stderr cannot be read: the agent is gone")
        text = f"<b>{task_id} on {agent_id}</b>"
        return FileEnd(1000, 1000 - len(text), text)

    def lead(self) -> Leader:
        self.leader = Leader(self.world, self.monitor)
        return self.leader

    def apply(self, name: str = "orders", **changes: Any) -> None:
        self.world.apply(name, **{"health": {"stableAfter": "2s"}, **changes})

    def let_pass(self, seconds: float) -> None:
        assert self.leader is not None
        self.leader.let_pass(seconds)

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def text(self, path: str) -> str:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    """A replica that does not lead yet; its views are always of now."""
    monkeypatch.setattr(monitoring, "VIEW_EVERY_S", 0.0)
    monkeypatch.setattr(monitoring, "SHARE", 0)
    monkeypatch.setattr("reconciler.app.api.context.LEADER_FRESH_S", 0.0)
    path = tmp_path / "tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return Site(str(path))


@pytest.fixture
def leading(site: Site) -> Site:
    """A leader with one job, `orders`, that is STABLE."""
    site.apply()
    site.lead()
    site.let_pass(15)
    assert site.world.record().lifecycle.value == "STABLE", site.world.record()
    return site


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the process' monotonic clock on."""
    real = time.monotonic

    def forward(seconds: float) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: real() + seconds)

    return forward
