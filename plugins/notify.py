"""The notifier: takes events from the loop, and hands them to the plugins on threads of their own.

`tell` only puts an event into bounded queues, one per plugin, so that neither a receiver that is down
nor a plugin that hangs can hold up the loop, or the other plugins. What does not fit is dropped,
counted and told in the log: the history in `/weir/events/<job>` is complete, notifications are best
effort.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Event as Flag
from threading import Lock, Thread

import structlog

from plugins import registry
from reconciler.model.notification import Notification, Settings
from reconciler.model.status import JobEvent

log = structlog.get_logger("weir.notify")

QUEUED = 1000
TELL_EVERY_S = 30.0
"""Drops and failures are told at most this often."""


def build(configured: Mapping[str, Settings], queued: int = QUEUED) -> Notifier:
    """The plugins that the configuration names, by name, each with its settings.

    Raises `registry.PluginError` for a name that does not exist and for settings that are refused: what
    an administrator asked for by name has to work, or the operator does not start.
    """
    made: dict[str, Notification] = {}
    for name, settings in configured.items():
        create = registry.factory(registry.NOTIFICATION, name)
        try:
            made[name] = create(settings)
        except (Exception, SystemExit) as error:
            raise registry.PluginError(f"notifications.{name}: {error}") from error
    return Notifier(made, queued)


class Notifier:
    """Tells every plugin about every event, without ever blocking."""

    def __init__(self, plugins: Mapping[str, Notification], queued: int = QUEUED) -> None:
        self._lanes = [_Lane(name, plugin, queued) for name, plugin in plugins.items()]

    def tell(self, job: str, event: JobEvent) -> None:
        """Pass one persisted event on. Never blocks and never raises."""
        for lane in self._lanes:
            lane.put(job, event)

    def dropped(self) -> dict[str, int]:
        """How many events each plugin never saw because its queue was full."""
        return {lane.name: lane.dropped for lane in self._lanes}

    def failed(self) -> dict[str, int]:
        """How many events each plugin was given and could not pass on."""
        return {lane.name: lane.failed for lane in self._lanes}

    def close(self, timeout_s: float = 2.0) -> None:
        """Give the plugins this long to work off what is queued; the rest is dropped."""
        until = time.monotonic() + timeout_s
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join(max(0.0, until - time.monotonic()))


class _Lane:
    """One plugin, its queue and its thread. The thread starts with the first event."""

    def __init__(self, name: str, plugin: Notification, queued: int) -> None:
        self.name = name
        self.dropped = 0
        self.failed = 0
        self._plugin = plugin
        self._queue: queue.Queue[tuple[str, JobEvent] | None] = queue.Queue(queued)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stopping = Flag()
        self._told_at: dict[str, float] = {}

    def put(self, job: str, event: JobEvent) -> None:
        if self._stopping.is_set():
            return
        self._start()
        try:
            self._queue.put_nowait((job, event))
        except queue.Full:
            with self._lock:
                self.dropped += 1
            self._tell("notification.dropped", dropped=self.dropped, queued=self._queue.maxsize)

    def stop(self) -> None:
        self._stopping.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)
        left = self._queue.qsize()
        if self._thread is not None and self._thread.is_alive():
            log.warning("notification.abandoned", plugin=self.name, queued=left)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"notify-{self.name}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=0.5 if self._stopping.is_set() else None)
            except queue.Empty:
                return
            if item is None:
                return
            try:
                self._plugin.send(*item)
            except BaseException as error:
                self.failed += 1
                self._tell("notification.failed", failed=self.failed, error=f"{type(error).__name__}: {error}"[:300])

    def _tell(self, what: str, **values: object) -> None:
        now = time.monotonic()
        if now - self._told_at.get(what, float("-inf")) >= TELL_EVERY_S:
            self._told_at[what] = now
            log.warning(what, plugin=self.name, **values)
