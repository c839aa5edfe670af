"""A TCP proxy before the master that writes down when each message passed: the same clock for Weir and for a floor.

Bytes are forwarded first and looked at afterwards, so that looking delays nothing.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Passed:
    """One message: when its first byte was forwarded (seconds of `time.perf_counter`), and what it says."""

    at: float
    body: dict[str, Any]


@dataclass
class Log:
    """What passed in one direction."""

    passed: list[Passed] = field(default_factory=list)
    fresh: threading.Condition = field(default_factory=threading.Condition)

    def add(self, at: float, data: bytes) -> None:
        with suppress(ValueError):
            body = json.loads(data)
            with self.fresh:
                self.passed.append(Passed(at, body))
                self.fresh.notify_all()

    def mark(self) -> int:
        return len(self.passed)

    def first(self, since: int, matches: Callable[[dict[str, Any]], bool], what: str, timeout: float = 60.0) -> Passed:
        """The first message after a mark; waits for it."""
        deadline, seen = time.monotonic() + timeout, since
        with self.fresh:
            while True:
                for one in self.passed[seen:]:
                    if matches(one.body):
                        return one
                seen = len(self.passed)
                if not self.fresh.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{what} did not pass within {timeout:g} s")


class Wire:
    """Listens on a free port of this machine and forwards to a master; a context manager.

    One thread serves all connections: a new one costs no thread, so what comes over it is noted as soon as the rest.
    """

    def __init__(self, master: tuple[str, int]) -> None:
        self.calls, self.events = Log(), Log()
        self._master = master
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped, self._stop = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Wire:
        self._thread = threading.Thread(target=self._serve, name="wire", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _serve(self) -> None:
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._listener:
                    self._connect()
                else:
                    key.data.forward()

    def _connect(self) -> None:
        client, _ = self._listener.accept()
        try:
            master = socket.create_connection(self._master)
        except OSError:
            client.close()
            return
        for one in (client, master):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        calls = _Way(self._selector, client, master, _requests(), self.calls)
        events = _Way(self._selector, master, client, _records(), self.events)
        self._selector.register(client, selectors.EVENT_READ, calls)
        self._selector.register(master, selectors.EVENT_READ, events)


class _Way:
    """One direction of one connection."""

    def __init__(
        self, selector: selectors.BaseSelector, source: socket.socket, sink: socket.socket, parser: Any, log: Log,
    ) -> None:  # fmt: skip
        self._selector, self._source, self._sink, self._parser, self._log = selector, source, sink, parser, log
        next(parser)

    def forward(self) -> None:
        try:
            data = self._source.recv(1 << 18)
            at = time.perf_counter()
            if data:
                self._sink.sendall(data)
                for began, message in self._parser.send((at, data)):
                    self._log.add(began, message)
                return
        except OSError:
            pass  # one of the two is gone, and so is the other
        for one in (self._source, self._sink):
            with suppress(KeyError, ValueError):
                self._selector.unregister(one)
            one.close()


def _requests() -> Any:
    """Bodies of the HTTP requests of one connection, as (time of its first byte, body)."""
    buffer, began, found = b"", 0.0, []
    while True:
        at, data = yield found
        found, began, buffer = [], began if buffer else at, buffer + data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(buffer[:end])
            total = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < total:
                break
            found.append((began, buffer[end + 4 : total]))
            buffer, began = buffer[total:], at


def _records() -> Any:
    """Events of a subscription: RecordIO inside of chunked HTTP (Mesos docs, "Scheduler HTTP API")."""
    raw, payload, streaming, found = b"", b"", None, []
    while True:
        at, data = yield found
        found, raw = [], raw + data
        if streaming is None and (end := raw.find(b"\r\n\r\n")) >= 0:
            streaming, raw = bool(_CHUNKED.search(raw[: end + 2])), raw[end + 4 :]
        if not streaming:
            raw = raw if streaming is None else b""
            continue
        while (end := raw.find(b"\r\n")) >= 0:
            size = int(raw[:end].partition(b";")[0] or b"0", 16)
            if len(raw) < end + 4 + size:
                break
            payload, raw = payload + raw[end + 2 : end + 2 + size], raw[end + 4 + size :]
        while (end := payload.find(b"\n")) >= 0 and len(payload) > end + int(payload[:end]):
            size = int(payload[:end])
            found.append((at, payload[end + 1 : end + 1 + size]))
            payload = payload[end + 1 + size :]


def accept_of(prefix: str) -> Callable[[dict[str, Any]], bool]:
    """Matches an ACCEPT that launches a task whose id begins so."""

    def matches(body: dict[str, Any]) -> bool:
        return body.get("type") == "ACCEPT" and any(name.startswith(prefix) for name in launched(body))

    return matches


def launched(body: dict[str, Any]) -> list[str]:
    """Task ids of an ACCEPT."""
    operations = body["accept"].get("operations", ())
    return [task["task_id"]["value"] for one in operations for task in one.get("launch", {}).get("task_infos", ())]


def update_of(task_id: str, state: str) -> Callable[[dict[str, Any]], bool]:
    """Matches the news that a task is in a state."""

    def matches(body: dict[str, Any]) -> bool:
        status = body.get("update", {}).get("status", {})
        return status.get("state") == state and status["task_id"]["value"] == task_id

    return matches
