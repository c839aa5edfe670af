"""Threads for blocking calls, and the leader's clock."""

from __future__ import annotations

import contextvars
import gc
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from reconciler.model.events import Event
from reconciler.ports import EventSink

log = structlog.get_logger("weir.runner")

LANES: Mapping[str, int] = {"mesos": 1, "store": 4, "flink": 8}
"""Workers per lane. Calls to Mesos keep their order; a slow JobManager must not delay a commit."""

FULL_COLLECTION_AFTER = 1000
"""Collections of the younger generations before a full one of garbage (Python documentation, `gc.set_threshold`)."""


def collect_rarely() -> None:
    """Full collections of garbage become rare: each looks at everything that lives, and every thread stands still.

    With ten thousand jobs that is half a second, and by default there is one whenever a quarter more lives than at the
    last: many during a take-over. What is in no cycle is freed at once all the same, and young cycles soon.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_AFTER)


class ThreadRunner:
    """A small pool per lane; answers go into the loop's queue."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._pools = {lane: ThreadPoolExecutor(workers, f"weir-{lane}") for lane, workers in LANES.items()}

    def submit(self, lane: str, call: Callable[[], Event | None]) -> None:
        # What is bound to log events (the epoch, the replica) goes along to the other thread.
        self._pools[lane].submit(contextvars.copy_context().run, self._run, call)

    def stop(self) -> None:
        """Drop what has not begun; what has is fenced or idempotent, so nobody waits for it."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, call: Callable[[], Event | None]) -> None:
        try:
            event = call()
        except Exception:
            log.exception("call.crashed")
            return
        if event is not None:
            self._sink(event)


class LeaderClock:
    """Wall time when leadership began, plus monotonic time since: a clock jump moves no timer (fault 59)."""

    def __init__(self) -> None:
        self._wall = time.time()
        self._start = time.monotonic()

    def now(self) -> float:
        return self._wall + (time.monotonic() - self._start)
