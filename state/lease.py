"""Leadership for one epoch, and the check that renews the belief in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from reconciler.ports import Fence, StoreError
from state.client import Calls, KazooClient, KazooState
from state.layout import Layout

_log = structlog.get_logger(__name__)

CHECKS_PER_SESSION = 6
BELIEVED = 2 / 3
"""Part of the session time-out for which a successful check is believed, counted from its sending.
The server counts from its arrival, so the belief ends first."""
RELEASE_S = 1.0


def now() -> float:
    """Seconds that go on while the machine sleeps: a lease must not survive a closed lid."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class ZooKeeperLease:
    """`Lease` on a session of `session_s` seconds; see `state.election` for what it guarantees."""

    def __init__(
        self,
        client: KazooClient,
        layout: Layout,
        fence: Fence,
        node: str,
        session_id: int,
        session_s: float,
        clock: Callable[[], float] = now,
    ) -> None:
        self._client = client
        self._layout = layout
        self._fence = fence
        self._path = f"{layout.election}/{node}"
        self._session_id = session_id
        self._clock = clock
        self._every = session_s / CHECKS_PER_SESSION
        self._believed_s = session_s * BELIEVED
        self._calls = Calls(client, timeout=max(self._believed_s / 2, 0.2))
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._deadline = 0.0
        self._connection = 0
        """Counts suspensions: a check that began before one proves nothing after it."""
        self._verified = False
        self._ended: str | None = None

    @property
    def fence(self) -> Fence:
        return self._fence

    def may_act(self) -> bool:
        with self._lock:
            believed = self._ended is None and self._verified and self._clock() < self._deadline
        return believed and self._calls.connected()

    def lost(self) -> bool:
        with self._lock:
            return self._ended is not None

    def begin(self, verified_at: float) -> None:
        """Start checking; `verified_at` is when the multi that took the lead was sent."""
        with self._lock:
            self._verified, self._deadline = True, verified_at + self._believed_s
        self._client.add_listener(self._on_state)
        if not self._calls.connected():  # lost between the multi and the listener
            self._on_state(KazooState.SUSPENDED)
        threading.Thread(target=self._watch_over, name=f"weir-lease-{self._fence.epoch}", daemon=True).start()

    def release(self) -> None:
        """Stop acting at once and let the next replica lead; returns within `RELEASE_S` seconds.

        While the connection is suspended the deletion is only queued: the session's end does the rest.
        """
        if self._end("released"):
            return
        deletion = self._client.delete_async(self._path)
        if self._calls.connected():
            deletion.wait(RELEASE_S)
        _log.info("lease.released", epoch=self._fence.epoch)

    def check(self) -> None:
        """One round trip: the own node is there and ours, and the epoch has not moved."""
        with self._lock:
            connection = self._connection
        sent_at = self._clock()
        try:
            self._calls.require("checking the lease")
            # Without the sync a lagging follower could answer with the past.
            self._client.sync_async(self._layout.epoch)
            node, epoch = self._calls.gather(
                "checking the lease",
                [
                    partial(self._client.get_async, self._path, watch=self._on_event),
                    partial(self._client.get_async, self._layout.epoch, watch=self._on_event),
                ],
            )
        except StoreError as error:
            _log.warning("lease.check_failed", epoch=self._fence.epoch, error=str(error))
            return
        if node is None or node[1].ephemeralOwner != self._session_id:
            self._end("the election node is gone")
        elif epoch is None or epoch[1].version != self._fence.version:
            self._end("the epoch has moved on")
        else:
            with self._lock:
                if connection == self._connection:
                    self._verified, self._deadline = True, sent_at + self._believed_s

    def _watch_over(self) -> None:
        while True:
            self._wake.wait(self._every)
            self._wake.clear()
            if self.lost():
                return
            if self._calls.connected():
                self.check()

    def _end(self, why: str) -> bool:
        """End the lease for good; True when it had ended before."""
        with self._lock:
            if self._ended is not None:
                return True
            self._ended = why
        self._client.remove_listener(self._on_state)
        self._wake.set()
        _log.info("lease.ended", epoch=self._fence.epoch, why=why)
        return False

    def _on_state(self, state: str) -> None:
        """Runs on kazoo's connection thread, which must not wait for anything."""
        if state == KazooState.LOST:
            self._end("the session is lost")
        elif state == KazooState.SUSPENDED:
            with self._lock:
                self._connection += 1
                self._verified = False
        else:
            self._wake.set()

    def _on_event(self, event: Any) -> None:
        """The own node or the epoch changed: look at once."""
        if event.type != "NONE":
            self._wake.set()
