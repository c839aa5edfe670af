"""A scripted Mesos master: real sockets, the v1 scheduler API, and every bad habit on demand."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from integration.mesos.config import MesosConfig
from integration.mesos.detector import StaticDetector
from integration.mesos.driver import MesosCluster
from reconciler.model.events import Event

DEADLINE_S = 5.0


def wait_for(what: Callable[[], Any], timeout: float = DEADLINE_S) -> Any:
    """Poll until `what()` is truthy; its value."""
    deadline = time.monotonic() + timeout
    while True:
        if value := what():
            return value
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.005)


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in list(self.events) if isinstance(event, kind)]

    def wait(self, kind: type[Any], count: int = 1, timeout: float = DEADLINE_S) -> Any:
        wait_for(lambda: len(self.of(kind)) >= count, timeout)
        return self.of(kind)[count - 1]


class ScriptedMaster:
    """Answers SUBSCRIBE as `subscribe_script` says (once each, then normally) and calls as `answers` says."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.framework_id = "fw-1"
        self.heartbeat_s = 15.0
        self.subscribes: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.call_connections = 0
        self.subscribe_script: list[Any] = []
        self.answers: dict[str, list[Any]] = {}
        self.frameworks: list[dict[str, Any]] = []
        self.streams: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def types(self) -> list[str]:
        return [call["type"] for call in self.calls]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [call for call in self.calls if call["type"] == kind]

    def send(self, *events: dict[str, Any]) -> None:
        """Events into the newest stream, in one chunk."""
        payload = b"".join(b"%d\n%s" % (len(data), data) for data in (json.dumps(e).encode() for e in events))
        self.send_raw(b"%x\r\n%s\r\n" % (len(payload), payload))

    def send_raw(self, data: bytes) -> None:
        self.streams[-1].sendall(data)

    def close_stream(self) -> None:
        self.streams[-1].shutdown(socket.SHUT_RDWR)

    def close_calls(self) -> None:
        """Close the idle keep-alive connections, as a master or a firewall does."""
        for sock in self._open:
            if sock not in self.streams:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        # A blocked accept holds the listening port open until it is shut down.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        reader = sock.makefile("rb")
        first = True
        with suppress(OSError, ValueError):
            while line := reader.readline():
                if line.startswith(b"GET /master/frameworks"):
                    while reader.readline().strip():
                        pass
                    sock.sendall(reply(200, json.dumps({"frameworks": self.frameworks})))
                    continue
                assert line.startswith(b"POST /api/v1/scheduler")
                headers: dict[str, str] = {}
                while (line := reader.readline().strip()) != b"":
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = json.loads(reader.read(int(headers["content-length"])))
                if body["type"] == "SUBSCRIBE":
                    self.headers.append(headers)
                    self.subscribes.append(body)
                    self._subscribe(sock)
                    return
                self.call_connections += first
                first = False
                self.headers.append(headers)
                self.calls.append(body)
                if not self._answer(sock, body["type"]):
                    return

    def _subscribe(self, sock: socket.socket) -> None:
        step = self.subscribe_script.pop(0) if self.subscribe_script else None
        if callable(step):
            step(sock)
            return
        if step is not None:
            sock.sendall(step)
            sock.shutdown(socket.SHUT_RDWR)
            return
        stream_id = f"stream-{len(self.streams) + 1}"
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            b"Mesos-Stream-Id: " + stream_id.encode() + b"\r\n\r\n"
        )
        self.streams.append(sock)
        self.send(
            {
                "type": "SUBSCRIBED",
                "subscribed": {
                    "framework_id": {"value": self.framework_id},
                    "heartbeat_interval_seconds": self.heartbeat_s,
                    "master_info": {"version": "1.12.0-dev"},
                },
            }
        )

    def _answer(self, sock: socket.socket, kind: str) -> bool:
        script = self.answers.get(kind)
        step = script.pop(0) if script else None
        if step == "hang":
            return True
        if step == "close":
            sock.shutdown(socket.SHUT_RDWR)
            return False
        if isinstance(step, bytes):
            sock.sendall(step)
        elif step is not None:
            status, text = step
            sock.sendall(reply(status, text))
        else:
            sock.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        return True


def reply(status: int, text: str = "", headers: Sequence[str] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text)}", *headers, "", text]
    return "\r\n".join(lines).encode()


def offer(offer_id: str = "o1", agent: str = "a1", role: str = "*", **extra: Any) -> dict[str, Any]:
    """An offer of 4 cpus, 4096 MB, 100 ports."""
    raw: dict[str, Any] = {
        "id": {"value": offer_id},
        "framework_id": {"value": "fw-1"},
        "agent_id": {"value": agent},
        "hostname": f"{agent}.example",
        "url": {"scheme": "http", "address": {"ip": "10.0.0.1", "hostname": f"{agent}.example", "port": 5051}},
        "allocation_info": {"role": role},
        "resources": [scalar("cpus", 4.0, role), scalar("mem", 4096.0, role), ports(31000, 31099, role)],
    }
    return raw | extra


def scalar(name: str, value: float, role: str = "*", **extra: Any) -> dict[str, Any]:
    return {
        "name": name, "type": "SCALAR", "scalar": {"value": value}, "role": "*", "allocation_info": {"role": role},
    } | extra  # fmt: skip


def ports(begin: int, end: int, role: str = "*", **extra: Any) -> dict[str, Any]:
    return {
        "name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": begin, "end": end}]}, "role": "*",
        "allocation_info": {"role": role},
    } | extra  # fmt: skip


def status_event(task_id: str = "t1", state: str = "TASK_RUNNING", **extra: Any) -> dict[str, Any]:
    status = {"task_id": {"value": task_id}, "state": state, "agent_id": {"value": "a1"}} | extra
    return {"type": "UPDATE", "update": {"status": status}}


class Kit:
    """What the tests of this folder share, reached through the fixture `kit`."""

    reply = staticmethod(reply)
    offer = staticmethod(offer)
    scalar = staticmethod(scalar)
    ports = staticmethod(ports)
    status_event = staticmethod(status_event)
    wait_for = staticmethod(wait_for)
    Recorder = Recorder
    ScriptedMaster = ScriptedMaster

    def __init__(self) -> None:
        self._clusters: list[MesosCluster] = []
        self._masters: list[ScriptedMaster] = []

    def config(self, **extra: Any) -> MesosConfig:
        quick: dict[str, Any] = {
            "user": "nobody", "call_timeout_s": 10.0, "connect_timeout_s": 10.0, "subscribe_timeout_s": 10.0,
            "backoff_first_s": 0.01,
        }  # fmt: skip
        return MesosConfig(**(quick | extra))

    def master(self) -> ScriptedMaster:
        self._masters.append(ScriptedMaster())
        return self._masters[-1]

    def cluster(self, *masters: str, **config: Any) -> MesosCluster:
        may = config.pop("may_subscribe", lambda: True)
        cluster = MesosCluster(self.config(**config), StaticDetector(masters), may)
        self._clusters.append(cluster)
        return cluster

    def subscribed(self, master: ScriptedMaster, **config: Any) -> tuple[MesosCluster, Recorder]:
        from reconciler.model.events import Subscribed

        cluster, sink = self.cluster(master.address, **config), Recorder()
        cluster.start(None, sink)
        sink.wait(Subscribed)
        return cluster, sink

    def close(self) -> None:
        for cluster in self._clusters:
            cluster.stop()
        for master in self._masters:
            master.close()


@pytest.fixture
def kit() -> Iterator[Kit]:
    it = Kit()
    yield it
    it.close()


@pytest.fixture
def master(kit: Kit) -> ScriptedMaster:
    return kit.master()
