"""`log`: every event as one line of the operator's log, for log shippers that raise alarms."""

from __future__ import annotations

import structlog

from plugins.notification.choice import Choice
from reconciler.model.notification import Settings
from reconciler.model.status import JobEvent

log = structlog.get_logger("weir.notification")


class LogNotification:
    """Warnings at level warning, the rest at level info."""

    def __init__(self, settings: Settings) -> None:
        self._choice = Choice.of(settings, others=())

    def send(self, job: str, event: JobEvent) -> None:
        if not self._choice.takes(job, event):
            return
        write = log.warning if event.warning else log.info
        write("job.notification", job=job, code=event.code, message=event.message, generation=event.generation)
