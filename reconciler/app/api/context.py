"""What the routes stand on, and the one question that most of them begin with: is this the leader?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from integration.mesos.inventory import AgentInfo
from integration.mesos.sandbox import FileEnd
from reconciler.app.monitoring.monitor import Monitor, Published
from reconciler.model.spec import JobSpec
from reconciler.model.status import JobEvent, LeaderInfo
from reconciler.ports import StoreError

LEADER_FRESH_S = 1.0


class Reads(Protocol):
    """As much of the tree as the API reads itself."""

    def load_leader(self) -> LeaderInfo | None: ...

    def load_events(self, name: str) -> tuple[JobEvent, ...]: ...

    def load_framework_id(self) -> str | None: ...

    def load_replicas(self) -> Sequence[str]: ...


class Refused(Exception):
    """An answer with a status code and a sentence."""

    def __init__(self, status: int, error: str, hint: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint


class Elsewhere(Exception):
    """The leader's API answers this: redirect there."""

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self.base = base


@dataclass(slots=True)
class Context:
    """One replica, as its API sees it."""

    replica: str
    host: str
    monitor: Monitor
    reads: Reads
    zookeeper_connected: Callable[[], bool]
    agents: Callable[[str], Sequence[AgentInfo]] = lambda _: ()
    """The agents of a Mesos master (`host:port`); raises OSError or ValueError when it does not tell."""
    logs: Callable[[str, str, str, str, int], FileEnd] | None = None
    """End of a file by (master, agent id, task id, name, bytes); raises NoSandbox."""
    master_scheme: str = "http"
    """Of the links to the pages of the Mesos master."""
    exports_metrics: Callable[[JobSpec], bool] = lambda _: True
    """Whether tasks of a spec serve Flink's metrics."""
    _leader: tuple[float, LeaderInfo | None] = field(default=(float("-inf"), None))

    def leader(self) -> LeaderInfo | None:
        """Who leads; at most a second old. Raises Refused when ZooKeeper does not answer."""
        at, info = self._leader
        if time.monotonic() - at < LEADER_FRESH_S:
            return info
        try:
            info = self.reads.load_leader()
        except StoreError as error:
            raise Refused(503, f"ZooKeeper does not answer: {error}", "try again; tasks go on running") from None
        self._leader = (time.monotonic(), info)
        return info

    def leading(self) -> Published:
        """This replica's newest view. Raises Elsewhere or Refused when another one leads, or nobody does."""
        published = self.monitor.current()
        if published is not None:
            return published
        info = self.leader()
        if info is None:
            raise Refused(503, "no replica leads", "start one, or wait for the election: weir leader")
        if info.replica == self.replica:
            raise Refused(503, "this replica was just elected and is taking over", "try again in a second")
        if info.api is None:
            raise Refused(503, f"{info.replica} leads, and its API is switched off", "switch it on: weir run --api")
        if _loopback(info.api) and info.host != self.host:
            raise Refused(
                503,
                f"{info.replica} leads, and only its own host {info.host} reaches its API at {info.api}",
                "give the replicas an address that others reach: weir run --api 0.0.0.0:8480",
            )
        raise Elsewhere(info.api)


def _loopback(url: str) -> bool:
    host = url.partition("://")[2].rpartition(":")[0].strip("[]")
    return host == "localhost" or host.startswith("127.") or host == "::1"
