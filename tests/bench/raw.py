"""A scheduler without anything: HTTP calls, one event stream, no memory, no persistence. What is possible."""

from __future__ import annotations

import getpass
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

PATH = "/api/v1/scheduler"
Json = dict[str, Any]


class StreamEnded(Exception):
    """The master has ended the subscription, as it does after TEARDOWN."""


class RawScheduler:
    """Subscribed once it is made; `teardown` ends its tasks."""

    def __init__(self, master: str, name: str = "floor", roles: Sequence[str] = ("*",)) -> None:
        host, _, port = master.partition(":")
        self._address = host, int(port)
        self._master = master
        info = {
            "user": getpass.getuser(), "name": name, "roles": list(roles),
            "capabilities": [{"type": "MULTI_ROLE"}],
        }  # fmt: skip
        self._stream = socket.create_connection(self._address)
        self._stream.sendall(self._request({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}))
        self._lock = threading.RLock()
        self._torn_down = False
        self._raw, self._payload = b"", b""
        self._head = self._read_head()
        self._calls = socket.create_connection(self._address)
        for one in (self._stream, self._calls):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.offers: dict[str, Json] = {}
        self._events = self._read_events()
        self.framework_id = next(self._events)["subscribed"]["framework_id"]

    def events(self) -> Iterator[Json]:
        """One after the other; offers at hand are kept, updates are acknowledged after they were handed out."""
        for event in self._events:
            for offer in event.get("offers", {}).get("offers", ()):
                self.offers[offer["id"]["value"]] = offer
            if event["type"] == "RESCIND":
                self.offers.pop(event["rescind"]["offer_id"]["value"], None)
            yield event
            status = event.get("update", {}).get("status", {})
            if "uuid" in status:
                said = {key: status[key] for key in ("agent_id", "task_id", "uuid")}
                self.call("ACKNOWLEDGE", acknowledge=said)

    def call(self, kind: str, **body: Any) -> None:
        """Send a call and read its answer. Raises RuntimeError when it was refused."""
        message = {"type": kind, "framework_id": self.framework_id, **body}
        request, answer = self._request(message, self._stream_id()), b""
        with self._lock:
            if self._torn_down:
                return
            self._calls.sendall(request)
            while b"\r\n\r\n" not in answer:
                data = self._calls.recv(65536)
                if not data:
                    raise RuntimeError(f"{kind}: the master closed the connection")
                answer += data
        if not answer.startswith(b"HTTP/1.1 202") and not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{kind}: {answer[:300]!r}")

    def accept(self, offers: Sequence[Json], tasks: Sequence[Json]) -> None:
        """Launch tasks; what is left of the offers comes back at once."""
        for offer in offers:
            self.offers.pop(offer["id"]["value"], None)
        launch = {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}
        said = {
            "offer_ids": [offer["id"] for offer in offers], "operations": [launch], "filters": {"refuse_seconds": 0.0}
        }  # fmt: skip
        self.call("ACCEPT", accept=said)

    def teardown(self) -> None:
        with self._lock:
            self.call("TEARDOWN")
            self._torn_down = True
            self._calls.close()

    def _stream_id(self) -> str:
        return next(
            line.partition(b":")[2].strip().decode()
            for line in self._head.split(b"\r\n")
            if line.lower().startswith(b"mesos-stream-id:")
        )

    def _request(self, body: Json, stream_id: str | None = None) -> bytes:
        data = json.dumps(body).encode()
        lines = [
            f"POST {PATH} HTTP/1.1", f"Host: {self._master}", "Content-Type: application/json",
            "Accept: application/json", f"Content-Length: {len(data)}",
        ]  # fmt: skip
        if stream_id is not None:
            lines.append(f"Mesos-Stream-Id: {stream_id}")
        return "\r\n".join([*lines, "", ""]).encode() + data

    def _read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._raw:
            self._receive()
        head, _, self._raw = self._raw.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"SUBSCRIBE: {head[:300]!r}")
        return head

    def _receive(self) -> None:
        data = self._stream.recv(1 << 20)
        if not data:
            raise StreamEnded
        self._raw += data

    def _read_events(self) -> Iterator[Json]:
        while True:
            while (end := self._payload.find(b"\n")) >= 0 and len(self._payload) > end + int(self._payload[:end]):
                size = int(self._payload[:end])
                yield json.loads(self._payload[end + 1 : end + 1 + size])
                self._payload = self._payload[end + 1 + size :]
            while (end := self._raw.find(b"\r\n")) < 0 or len(self._raw) < end + 4 + int(self._raw[:end], 16):
                self._receive()
            size = int(self._raw[:end], 16)
            self._payload += self._raw[end + 2 : end + 2 + size]
            self._raw = self._raw[end + 4 + size :]


def task(task_id: str, offer: Json, cpus: float = 0.1, mem_mb: float = 32.0) -> Json:
    """A task that sleeps."""
    scalars = [("cpus", cpus), ("mem", mem_mb)]
    return {
        "name": task_id,
        "task_id": {"value": task_id},
        "agent_id": offer["agent_id"],
        "command": {"shell": False, "value": "/bin/sleep", "arguments": ["sleep", "100000"]},
        "resources": [
            {
                "name": name, "type": "SCALAR", "scalar": {"value": value},
                "allocation_info": {"role": offer["allocation_info"]["role"]},
            }
            for name, value in scalars
        ],
    }  # fmt: skip
