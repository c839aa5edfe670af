"""Calls to Mesos that nobody waits for: what is lost with a connection is asked for again by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import structlog

from reconciler.model.events import Event, TaskUpdate
from reconciler.ports import Cluster, PortError

log = structlog.get_logger("weir.calls")

RECONCILE_BATCH = 500


class MesosCalls:
    """Each method puts one call on the lane `mesos`, where calls keep their order."""

    def __init__(self, cluster: Cluster, submit: Callable[[str, Callable[[], Event | None]], None]) -> None:
        self._cluster = cluster
        self._submit = submit

    def decline(self, offer_ids: Sequence[str], refuse_s: float) -> None:
        self._send("decline", offer_ids, refuse_s)

    def answer_inverse(self, offer_id: str, accepted: bool, refuse_s: float) -> None:
        """Whether an agent with a maintenance window may go; a lost answer is asked for again."""
        self._send("accept_inverse" if accepted else "decline_inverse", [offer_id], refuse_s)

    def suppress(self) -> None:
        self._send("suppress")

    def revive(self) -> None:
        self._send("revive")

    def acknowledge(self, update: TaskUpdate) -> None:
        """Tell the agent that this update has arrived; updates without a uuid are the master's and need no answer."""
        if update.uuid is not None:
            self._send("acknowledge", update)

    def kill(self, task_id: str, agent_id: str | None, grace_s: float) -> None:
        self._send("kill", task_id, agent_id, grace_s)

    def reconcile(self, tasks: Sequence[tuple[str, str | None]]) -> None:
        """Ask about these (task id, agent id), in batches; nothing is asked about no tasks."""
        for start in range(0, len(tasks), RECONCILE_BATCH):
            self._send("reconcile", tasks[start : start + RECONCILE_BATCH])

    def reconcile_implicitly(self) -> None:
        """Ask about every task that the master knows of this framework."""
        self._send("reconcile", [])

    def _send(self, method: str, *args: object) -> None:
        self._submit("mesos", partial(_quietly, self._cluster, method, args))


def _quietly(cluster: Cluster, method: str, args: Sequence[object]) -> None:
    try:
        getattr(cluster, method)(*args)
    except PortError as error:
        log.info("mesos.call_failed", call=method, error=str(error))
