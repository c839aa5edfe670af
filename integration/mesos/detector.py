"""Finding the leading master: in ZooKeeper, or in a configured list.

pymesos' own detector never finds a master when `/mesos` is missing at its start and drops the
credentials of the URL, so this one is used (it keeps only what Mesos' `zk://` URLs promise; Mesos docs,
"High-Availability Mode").
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Protocol

import structlog
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from integration.mesos.errors import MasterAddressError

log = structlog.get_logger(__name__)

OnMaster = Callable[[str | None], None]
"""Called with `host:port` of the leader, or None when there is none; from the detector's thread."""

_CONTENDER = re.compile(r"^json\.info_(\d+)$")
_RECHECK_S = 5.0
_READ_TIMEOUT_S = 5.0


class MasterDetector(Protocol):
    """Who leads. May be started again after `stop`."""

    def start(self, on_master: OnMaster) -> None: ...

    def stop(self) -> None: ...

    def failed(self, master: str) -> str | None:
        """The driver could not subscribe at `master`: whom to try next (may be the same)."""
        ...


@dataclass(frozen=True, slots=True)
class ZkUrl:
    """`zk://[user:password@]host:port,…/path`."""

    hosts: str
    path: str
    credentials: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """Without the credentials, for logs and errors."""
        return f"zk://{self.hosts}{self.path}"


def _host_port(text: str, default_port: int, whole: str) -> str:
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host, port = text.strip(), str(default_port)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise MasterAddressError(
            f"the master address {whole!r} is refused because {text.strip()!r} is not host:port; "
            f"write zk://host:2181/mesos or host:5050"
        )
    return f"{host}:{port}"


def parse_zk_url(url: str) -> ZkUrl:
    """Parse a `zk://` URL; `MasterAddressError` is one sentence that says what to write."""
    rest = url.removeprefix("zk://")
    credentials, at, rest = rest.rpartition("@")
    shown = f"zk://{rest}"
    hosts, slash, path = rest.partition("/")
    if not slash or not path.strip("/"):
        raise MasterAddressError(
            f"the master address {shown!r} is refused because it names no znode; write zk://host:2181/mesos"
        )
    if at and ":" not in credentials:
        raise MasterAddressError(
            f"the master address {shown!r} is refused because its credentials are not user:password@"
        )
    names = [_host_port(host, 2181, shown) for host in hosts.split(",")]
    return ZkUrl(",".join(names), "/" + path.strip("/"), credentials if at else None)


def parse_masters(text: str) -> tuple[str, ...]:
    """A list of `host[:port]`, port 5050 by default; a scheme `http://` is allowed and dropped."""
    parts = [part.strip().removeprefix("http://").rstrip("/") for part in text.split(",")]
    if any(part.startswith("https://") for part in parts):
        raise MasterAddressError(
            f"the master address {text.rpartition('@')[2]!r} is refused because TLS is a setting of its own; "
            f"write host:5050 and set mesos.tls = true (WEIR_MASTER_TLS), see mesos.ca_file"
        )
    if any("://" in part for part in parts):
        raise MasterAddressError(
            f"the master address {text.rpartition('@')[2]!r} is refused because its scheme is unknown; "
            f"write zk://host:2181/mesos or host:5050"
        )
    return tuple(_host_port(part, 5050, text) for part in parts)


def master_address(data: bytes, *, by_name: bool = False) -> str | None:
    """`host:port` out of the MasterInfo JSON of a contender, or None when it does not say.

    `by_name`: the name that it advertises rather than its IP address, because certificates are for names.
    """
    try:
        info: Any = json.loads(data)
        address = info.get("address") or {}
        ip, name = address.get("ip"), address.get("hostname") or info.get("hostname")
        host = (name or ip) if by_name else (ip or name)
        port = address.get("port") or info.get("port")
        if host and port:
            return f"{host}:{int(port)}"
        return str(info["pid"]).partition("@")[2] or None
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def leading(children: Sequence[str]) -> str | None:
    """The contender with the lowest sequence number; other children (`log_replicas`) are not contenders."""
    contenders = [(int(match[1]), name) for name in children if (match := _CONTENDER.match(name))]
    return min(contenders)[1] if contenders else None


class StaticDetector:
    """A fixed list of masters, tried in turn. A master that does not lead redirects to the one that does."""

    def __init__(self, masters: Sequence[str]) -> None:
        if not masters:
            raise MasterAddressError("no master is configured; write zk://host:2181/mesos or host:5050")
        self._masters = tuple(masters)
        self._turn = 0

    def start(self, on_master: OnMaster) -> None:
        on_master(self._masters[self._turn])

    def stop(self) -> None:
        """Nothing runs."""

    def failed(self, master: str) -> str | None:
        if master in self._masters:
            self._turn = (self._masters.index(master) + 1) % len(self._masters)
        return self._masters[self._turn]


class ZkDetector:
    """The leader according to ZooKeeper.

    One thread reads; watches and connection changes only wake it, and it also looks again every few
    seconds, so a lost watch costs latency, not correctness. While ZooKeeper does not answer, the last
    known leader stands: silence is not a change.
    """

    def __init__(self, url: ZkUrl, client: KazooClient | None = None, *, by_name: bool = False) -> None:
        self._url = url
        self._by_name = by_name
        self._given = client
        self._wake = Event()
        self._stopping = Event()
        self._thread: Thread | None = None
        self._lock = Lock()
        self._leader: str | None = None
        self._known = False

    def start(self, on_master: OnMaster) -> None:
        """`on_master` is called once the first answer is there and at each change after it."""
        if self._thread is not None:
            raise RuntimeError("the detector runs already")
        self._stopping, self._wake = Event(), Event()
        self._wake.set()
        self._known = False
        self._thread = Thread(
            target=self._run, args=(self._stopping, self._wake, on_master), name="mesos-detector", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Returns soon; a client that hangs on a silent ZooKeeper is closed in the background."""
        self._stopping.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=1.0)

    def failed(self, master: str) -> str | None:  # noqa: ARG002  (Protocol)
        self._wake.set()
        with self._lock:
            return self._leader

    def _own_client(self) -> KazooClient:
        auth = [("digest", self._url.credentials)] if self._url.credentials else []
        return KazooClient(
            hosts=self._url.hosts,
            timeout=10.0,
            auth_data=auth,
            # kazoo's default waits up to an hour between attempts
            connection_retry={"max_tries": -1, "delay": 0.1, "max_delay": 2.0},
        )

    def _on_state(self, _state: object) -> None:
        self._wake.set()

    def _on_watch(self, _event: object) -> None:
        self._wake.set()

    def _run(self, stopping: Event, wake: Event, on_master: OnMaster) -> None:
        client = self._given or self._own_client()
        client.add_listener(self._on_state)
        if self._given is None:
            client.start_async()
        try:
            while not stopping.is_set():
                wake.wait(_RECHECK_S)
                wake.clear()
                if not stopping.is_set() and client.connected:
                    self._look(client, stopping, on_master)
        finally:
            client.remove_listener(self._on_state)
            if self._given is None:
                client.stop()
                client.close()

    def _look(self, client: KazooClient, stopping: Event, on_master: OnMaster) -> None:
        try:
            leader = self._read(client)
        except (KazooException, KazooTimeoutError) as error:
            log.warning("mesos.detector_unanswered", url=self._url.shown, error=repr(error))
            stopping.wait(0.2)
            return
        with self._lock:
            changed = not self._known or leader != self._leader
            self._known, self._leader = True, leader
        if changed and not stopping.is_set():
            log.info("mesos.leader_detected", url=self._url.shown, master=leader)
            on_master(leader)

    def _read(self, client: KazooClient) -> str | None:
        path = self._url.path
        try:
            children = client.get_children_async(path, self._on_watch).get(timeout=_READ_TIMEOUT_S)
        except NoNodeError:
            if client.exists_async(path, self._on_watch).get(timeout=_READ_TIMEOUT_S) is not None:
                self._wake.set()
            return None
        name = leading(children)
        if name is None:
            return None
        try:
            data, _ = client.get_async(f"{path}/{name}").get(timeout=_READ_TIMEOUT_S)
        except NoNodeError:
            self._wake.set()
            return self._leader
        address = master_address(data, by_name=self._by_name)
        if address is None:
            log.error("mesos.master_info_unreadable", url=self._url.shown, znode=name)
        return address


def detector_for(master: str, client: KazooClient | None = None, *, by_name: bool = False) -> MasterDetector:
    """The detector for a configured master: a `zk://` URL or a list of `host:port`.

    A given client must be started, without a chroot, and is not stopped. `by_name`: see `master_address`.
    """
    if master.startswith("zk://"):
        return ZkDetector(parse_zk_url(master), client, by_name=by_name)
    return StaticDetector(parse_masters(master))


def shown(master: str) -> str:
    """A configured master without credentials, for everybody to read."""
    return parse_zk_url(master).shown if master.startswith("zk://") else ",".join(parse_masters(master))


def find_master(master: str, timeout_s: float = 5.0, *, by_name: bool = False) -> str | None:
    """`host:port` of a master that can be asked, once; None when none was found within the time.

    In a list the first one that accepts connections will do: it redirects to the one that leads.
    """
    if not master.startswith("zk://"):
        return next((each for each in parse_masters(master) if _accepts(each)), None)
    deadline = time.monotonic() + timeout_s
    found: SimpleQueue[str | None] = SimpleQueue()
    detector = ZkDetector(parse_zk_url(master), by_name=by_name)
    detector.start(found.put)
    try:
        while True:
            address = found.get(timeout=max(deadline - time.monotonic(), 0.01))
            if address is not None:
                return address
    except Empty:
        return None
    finally:
        detector.stop()


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except OSError:
        return False
    return True
