"""A framework of our own name whose tasks run, although nothing in our tree knows of it (fault 65).

A replica whose tree is empty registers as a new framework. If that tree is empty because its root or its
ensemble is mis-set, or because it was lost, the tasks of the framework it was would be orphaned, and its
jobs started a second time beside themselves. So the master is asked first who is there already (Mesos
docs, "HTTP Endpoints": /master/frameworks).
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import structlog

from integration.mesos.tls import scheme, verified_by

log = structlog.get_logger("weir.mesos")

DEAD_STATES = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE")
TOLD = (401, 403, 404)
"""Answers of a master that does not let us look; there is nothing to wait for then."""


def find(
    master: str,
    name: str,
    credential: str | None,
    timeout_s: float,
    transport: httpx.BaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
) -> str | None:
    """A sentence about a framework called `name` that has live tasks, or None. Raises httpx.HTTPError, ValueError.

    `master` is "host:port", `credential` the value of an Authorization header.
    """
    headers = {"Authorization": credential} if credential else {}
    with httpx.Client(
        timeout=timeout_s, transport=transport, headers=headers, follow_redirects=True, verify=verified_by(tls)
    ) as client:
        answer = client.get(f"{scheme(tls)}://{master}/master/frameworks")
    if answer.status_code in TOLD:
        log.warning("mesos.frameworks_unknown", master=master, status=answer.status_code)
        return None
    document = answer.raise_for_status().json()
    for entry in document["frameworks"]:
        if entry.get("name") == name and _live_tasks(entry):
            return (
                f"the framework {entry.get('id')} is called {name} too and has {_live_tasks(entry)} live tasks, but "
                "this tree knows nothing of it: the root or the ensemble is mis-set, or the tree was lost. "
                "Correct --zk or --root, or restore the backup of the tree; a second installation needs another "
                "mesos.framework_name"
            )
    return None


def _live_tasks(framework: dict[str, Any]) -> int:
    """Tasks that run, or that may still run where the master cannot see them."""
    live = [task for task in framework.get("tasks", ()) if task.get("state") not in DEAD_STATES]
    return len(live) + len(framework.get("unreachable_tasks", ()))
