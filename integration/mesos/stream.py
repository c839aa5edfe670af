"""The life of the event stream: which master, when to subscribe, when to give a stream up.

The parent's loop starts a reconnection at once and for ever, blocks in `sleep`, dies of a name that
does not resolve, and waits on a silent master without end. This one backs off (fault 30), watches the
heartbeats that the master promised, never ends because of an exception, and sleeps where it can be woken.
"""

from __future__ import annotations

import os
import selectors
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import httpx
import structlog

from integration.mesos.channel import CallChannel
from integration.mesos.config import MesosConfig
from integration.mesos.detector import MasterDetector
from integration.mesos.library import Connection, MesosSchedulerDriver
from integration.mesos.tls import TlsSocket, refusal
from reconciler.model import ids

log = structlog.get_logger(__name__)

DEFAULT_HEARTBEAT_S = 15.0
STEADY_S = 10.0
"""A stream that lasted this long was a good one: back-off starts again from its first step."""
MAX_REDIRECTS = 5
IDLE_S = 1.0
_PERHAPS_TLS = " (if it is a port for TLS, set mesos.tls = true)"


class Listener(Protocol):
    """What the driver reports beside pymesos' `Scheduler` callbacks. Must be fast."""

    def lost(self, why: str) -> None: ...

    def displaced(self) -> None: ...

    def removed(self, why: str) -> None: ...

    def namesake(self, why: str) -> None: ...


class Stream(Connection):  # type: ignore[misc]
    """The event stream; says why it ended."""

    why = "the stream ended"
    denied = False
    """The master knows who asks, or does not, and wants nothing of it; only a person can change that."""

    def __init__(self, master: str, callback: Any, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(master, callback)
        self._sock: Any
        self._master = master
        self._tls = tls

    @property
    def awaits(self) -> int:
        """What of its socket the selector has to look for."""
        if not self.connected and isinstance(self._sock, TlsSocket):
            return self._sock.awaits
        writes = not self.connected or self.want_write()
        return selectors.EVENT_READ | selectors.EVENT_WRITE if writes else selectors.EVENT_READ

    def handle_connect_event(self) -> str:
        """Why it cannot be connected, or nothing; with TLS it takes a few turns until `connected`."""
        if not isinstance(self._sock, TlsSocket):
            error = super().handle_connect_event()
            if error or self._tls is None:
                return f"cannot connect to {self._master}: {error}" if error else ""
            self.connected = False
            self._sock = TlsSocket(self._sock, self._tls, self.addr[0])
        try:
            self.connected = self._sock.handshake()
        except OSError as failed:
            why = refusal(self._master, failed)
            self.denied = why is not None
            return why or f"cannot connect to {self._master}: {failed}"
        return ""

    def read(self) -> bool:
        try:
            if super().read():
                return True
        except RuntimeError:
            if not self._denied():
                raise
            return False
        parser = self._parser
        status = parser.get_status_code() if parser.is_headers_complete() else 200
        why = refusal(self._master, self._sock.failed) if isinstance(self._sock, TlsSocket) else None
        if why is not None:
            self.why, self.denied = why, True
        elif status == 503:
            self.why = f"the master at {self.addr[0]}:{self.addr[1]} is not ready (HTTP 503)"
        elif status == 307:
            self.why = f"the master at {self.addr[0]}:{self.addr[1]} does not lead (HTTP 307)"
        else:
            self.why = f"the master at {self.addr[0]}:{self.addr[1]} closed the connection"
            if self._tls is None and not parser.is_headers_complete():
                self.why += f" before it answered{_PERHAPS_TLS}"
        return False

    def _denied(self) -> bool:
        """401 and 403 of SUBSCRIBE (Mesos docs, "Authentication", "HTTP Frameworks")."""
        status = self._parser.get_status_code()
        if status not in (401, 403):
            return False
        self.denied = True
        self.why = (
            f"the master at {self.addr[0]}:{self.addr[1]} refuses the framework's credentials (HTTP {status}); "
            "correct mesos.principal and mesos.secret_file, or the --credentials of the master"
        )
        return True


def backoff(config: MesosConfig, failures: int, *salt: object) -> float:
    """Seconds before the next attempt: exponential, jittered by a hash, bounded (fault 30)."""
    seed = "/".join(str(part) for part in salt)
    chosen = config.resubscribe_after(failures, seed) if config.resubscribe_after is not None else None
    if chosen is not None:
        return min(chosen, config.backoff_max_s)
    step = min(config.backoff_max_s, config.backoff_first_s * 2.0 ** min(failures - 1, 30))
    return step * (0.5 + 0.5 * ids.fraction("mesos.backoff", failures, *salt))


class StreamLoop(MesosSchedulerDriver):  # type: ignore[misc]
    """The I/O thread of the driver. One subscription life: it is not started twice."""

    def __init__(
        self,
        config: MesosConfig,
        framework_info: dict[str, Any],
        callbacks: Any,
        listener: Listener,
        detector: MasterDetector,
        may_subscribe: Callable[[], bool],
    ) -> None:
        super().__init__(
            callbacks, framework_info, "", implicit_acknowledgements=False,
            principal=config.principal if config.secret is not None else None, secret=config.secret, failover=True,
        )  # fmt: skip
        self._config = config
        self._listener = listener
        self._masters = detector
        self._may_subscribe = may_subscribe
        self._channel = CallChannel(config.tls)
        self._wakeup_fds: tuple[int, int] | None = None
        self._subscribed = False
        self._ended: str | None = None
        self._heartbeat_s = DEFAULT_HEARTBEAT_S
        self._resubscribe_why: str | None = None
        self._refusal: str | None = None
        self._last_why: str | None = None
        self._redirects = 0
        self._denied = False

    # Which master

    @property
    def detected_master(self) -> str | None:
        """The master that leads as far as is known, "host:port"."""
        return self._new_master

    def master_detected(self, master: str | None) -> None:
        with self._lock:
            self._redirects = 0
            self._new_master = master
        self._notify()

    def change_master(self, new_master: str) -> None:
        """Called by the stream when a master redirects. The parent would ask it for its version, blocking."""
        with self._lock:
            self._redirects += 1
            if self._redirects <= MAX_REDIRECTS:
                self._new_master = new_master

    # The I/O loop

    def _run(self) -> None:
        with self._lock:
            fds = self._wakeup_fds
        if fds is None:
            return
        os.set_blocking(fds[0], False)
        try:
            self._serve(fds[0])
        finally:
            with self._lock:
                self._wakeup_fds = None
            for fd in fds:
                os.close(fd)

    def _serve(self, wake: int) -> None:
        failures = 0
        while self._started and self._ended is None:
            with self._lock:
                master = self._master = self._new_master
            if master is None or not self._may_subscribe_now():
                self._wait(wake, IDLE_S, master)
                continue
            began = time.monotonic()
            why = self._guarded_session(master, wake)
            steady = self._subscribed and time.monotonic() - began >= STEADY_S
            self._leave(master, why)
            if not self._started or self._ended is not None or self._new_master != master:
                failures = 0 if steady else failures
                continue
            failures = 1 if steady else failures + 1
            with self._lock:
                self._redirects = 0
                if self._new_master == master:
                    self._new_master = self._masters.failed(master)
            # Nothing but a person changes a refusal, so it is not asked about quickly at first.
            delay = (
                self._config.backoff_max_s
                if self._denied
                else backoff(self._config, failures, self._config.name, master)
            )
            log.info("mesos.resubscribe_scheduled", master=master, why=why, failures=failures, delay_s=round(delay, 3))
            self._wait(wake, delay, self._new_master)

    def _may_subscribe_now(self) -> bool:
        try:
            return self._may_subscribe()
        except Exception:
            log.exception("mesos.may_subscribe_failed")
            return False

    def _wait(self, wake: int, seconds: float, master: str | None) -> None:
        """Wait, but not longer than until we are stopped or the detector names another master."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            while self._started and self._new_master == master:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                if selector.select(left):
                    _drain(wake)

    def _guarded_session(self, master: str, wake: int) -> str:
        stream: Stream | None = None
        self._denied = False
        try:
            stream = Stream(master, self, self._config.tls)
            why = self._session(stream, master, wake)
            self._denied = stream.denied
            return why
        except Exception as error:  # a name that does not resolve, HTTP 4xx, a stream that is not JSON
            if self._config.tls is not None and (refused := refusal(master, error)) is not None:
                self._denied = True
                return refused
            log.warning("mesos.stream_failed", master=master, error=str(error), kind=type(error).__name__)
            unread = self._config.tls is None and isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
            return f"{master}: {error}{_PERHAPS_TLS if unread else ''}"
        finally:
            if stream is not None:
                stream.close()

    def _session(self, stream: Stream, master: str, wake: int) -> str:
        deadline = time.monotonic() + self._config.connect_timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            selector.register(stream.fileno(), stream.awaits)
            while True:
                left = deadline - time.monotonic()
                ready = {key.fd: mask for key, mask in selector.select(max(0.0, left))}
                if not ready and left <= 0:
                    # Asked only after looking: when this process was paused, the news (perhaps that
                    # another scheduler has taken over) are already waiting.
                    return self._silence(master, stream.connected)
                if wake in ready:
                    _drain(wake)
                if (why := self._interrupted(master)) is not None:
                    return why
                mask = ready.get(stream.fileno(), 0)
                if mask and not stream.connected:
                    if error := stream.handle_connect_event():
                        return error
                    selector.modify(stream.fileno(), stream.awaits)
                    if not stream.connected:
                        continue
                    deadline = time.monotonic() + self._config.subscribe_timeout_s
                if mask & selectors.EVENT_WRITE and stream.want_write() and not stream.write():
                    return f"the connection to {master} broke while subscribing"
                selector.modify(stream.fileno(), stream.awaits)
                if mask & selectors.EVENT_READ:
                    if not stream.read():
                        return self._refusal or stream.why
                    if self._subscribed:
                        deadline = time.monotonic() + self._heartbeat_s * self._config.missed_heartbeats

    def _interrupted(self, master: str) -> str | None:
        if not self._started:
            return "stopped"
        if self._ended is not None:
            return self._ended
        if self._new_master != master:
            return "another master leads" if self._new_master else "no master leads"
        with self._lock:
            why, self._resubscribe_why = self._resubscribe_why, None
        return why

    def _silence(self, master: str, connected: bool) -> str:
        if self._subscribed:
            return f"{self._config.missed_heartbeats} heartbeats of {master} are missing"
        if connected:
            return f"{master} did not answer SUBSCRIBE within {self._config.subscribe_timeout_s:g} s"
        return f"cannot connect to {master} within {self._config.connect_timeout_s:g} s"

    def _leave(self, master: str, why: str) -> None:
        """A subscription (or an attempt) ended. Reported once per loss and at each new reason."""
        was, self._subscribed = self._subscribed, False
        self.stream_id = None
        self._refusal = self._resubscribe_why = None
        self._channel.drop()
        if not self._started or self._ended is not None:
            return
        if was or why != self._last_why:
            self._last_why = why
            log.warning("mesos.disconnected", master=master, why=why, was_subscribed=was)
            self._tell(self._listener.lost, why)

    def _tell(self, what: Callable[..., None], *args: object) -> None:
        try:
            what(*args)
        except Exception:
            log.exception("mesos.sink_failed", callback=getattr(what, "__name__", "?"))


def _drain(fd: int) -> None:
    with suppress(BlockingIOError, OSError):
        while os.read(fd, 4096):
            pass
