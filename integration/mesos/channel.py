"""One keep-alive connection for calls to the master, with a deadline over each whole exchange.

pymesos sends calls without a time-out that would ever strike, and loses one when the master has closed
the idle connection. Here an exchange says which of three things happened: an answer, certainly not
sent (`NotSent`), or nobody knows (`NoAnswer`).
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

from http_parser.http import HttpParser

from integration.mesos import tls as over_tls

_CHUNK = 65536


class NotSent(Exception):
    """No byte of the call reached the master."""


class NoAnswer(Exception):
    """The call was sent at least in part and not answered."""

    def __init__(self, why: str, reused: bool, timed_out: bool) -> None:
        super().__init__(why)
        self.reused = reused
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str


class CallChannel:
    """Serialises calls over one connection that is made on demand."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._address: str | None = None
        self._closed = False

    def exchange(self, address: str, request: bytes, timeout: float, fresh: bool = False) -> Answer:
        """Send one request and read its answer within `timeout` seconds (waiting for our turn is extra)."""
        if not self._lock.acquire(timeout=timeout):
            raise NotSent(f"other calls have been waiting for {address} for {timeout:g} s")
        try:
            deadline = time.monotonic() + timeout
            sock, reused = self._connection(address, deadline, fresh)
            try:
                return self._converse(sock, request, deadline)
            except (OSError, _BrokenAnswer) as error:
                self._drop()
                timed_out = isinstance(error, TimeoutError)
                why = f"no answer within {timeout:g} s" if timed_out else (str(error) or repr(error))
                raise NoAnswer(f"{address}: {why}", reused, timed_out) from error
        finally:
            self._lock.release()

    def drop(self) -> None:
        """Cut whatever is going on, from any thread; the next call connects anew."""
        sock = self._socket
        if sock is not None:
            with suppress(OSError):
                # Not that of SSLSocket, which ends encryption first: another thread may be sending.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut whatever is going on and refuse to connect again."""
        self._closed = True
        self.drop()

    def _connection(self, address: str, deadline: float, fresh: bool) -> tuple[socket.socket, bool]:
        sock = self._socket
        if sock is not None and (fresh or self._address != address or _is_stale(sock)):
            self._drop()
            sock = None
        if sock is not None:
            return sock, True
        if self._closed:
            raise NotSent("the driver has been stopped")
        host, _, port = address.rpartition(":")
        try:
            sock = self._connect(host, int(port), deadline)
        except (OSError, UnicodeError) as error:
            why = over_tls.refusal(address, error) or f"cannot connect to {address}: {error}"
            raise NotSent(why) from error
        self._socket, self._address = sock, address
        if self._closed:
            self._drop()
            raise NotSent("the driver has been stopped")
        return sock, False

    def _connect(self, host: str, port: int, deadline: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout=max(0.001, deadline - time.monotonic()))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = secure = over_tls.wrap(sock, self._tls, host)
                _remaining(secure, deadline)
                secure.do_handshake()
        except BaseException:
            sock.close()
            raise
        return sock

    def _converse(self, sock: socket.socket, request: bytes, deadline: float) -> Answer:
        _remaining(sock, deadline)
        sock.sendall(request)
        parser = HttpParser()
        body = b""
        while not parser.is_message_complete():
            _remaining(sock, deadline)
            data = sock.recv(_CHUNK)
            if not data:
                raise _BrokenAnswer("the master closed the connection before it answered")
            if parser.execute(data, len(data)) != len(data):
                raise _BrokenAnswer("the answer is not HTTP")
            body += parser.recv_body()
        headers = {name.lower(): value.lower() for name, value in parser.get_headers().items()}
        if headers.get("connection") == "close":
            self._drop()
        return Answer(parser.get_status_code(), body.decode("utf-8", "replace"))

    def _drop(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()


class _BrokenAnswer(Exception):
    """The answer ended early or is not HTTP."""


def _remaining(sock: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _is_stale(sock: socket.socket) -> bool:
    """Whether the other side has already closed (or sent what nobody asked for)."""
    try:
        sock.setblocking(False)
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True
