"""What a notification plugin is: somebody who is told what happened to jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from reconciler.model.status import JobEvent

Settings = Mapping[str, str]
"""The plugin's part of the operator's configuration, `[notifications.NAME]`."""


class Notification(Protocol):
    """A plugin (entry point group `weir.notification`), made once per process from its settings."""

    def send(self, job: str, event: JobEvent) -> None:
        """Pass one event on. It is called on a thread of the plugin's own, one event at a time.

        It may block for a bounded time. What it raises is logged, and the event counts as lost: the
        history in `/weir/events/<job>` is what is kept, notifications are best effort.
        """
        ...


NotificationFactory = Callable[[Settings], Notification]
"""What the entry point names: a class or function that takes the settings and raises ValueError for bad ones."""
