"""What belongs to which kind of spec: an application, a session, or a job of a session.

A session is a cluster without a job of its own; a session job is a job without processes of its own.
What the kind does not have is refused with where it belongs, never silently ignored, and taken out of
the document, so that the steps after this one look at the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.spec_errors import problem, shown
from reconciler.model.spec_messages import REQUIRED
from reconciler.model.status import SpecError

KINDS = ("Application", "Session", "SessionJob")

_OF_THE_JOBS = "a session has no job of its own"
_OF_THE_SESSION = "a session job runs in the processes of its session"
_PUT_INTO_JOBS = "write it into the specs of its jobs"
_PUT_INTO_SESSION = "write it into the spec of the session"

MISPLACED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Application": {
        "session": ("belongs to kind SessionJob, this is Application", 'leave it out, or write "kind": "SessionJob"'),
    },
    "Session": {
        "job": (_OF_THE_JOBS, 'give each job a spec of its own, with "kind": "SessionJob"'),
        "session": (_OF_THE_JOBS, 'it belongs to kind SessionJob; leave it out'),
        "snapshots": (_OF_THE_JOBS, _PUT_INTO_JOBS),
        "onDelete": ("deleting a session waits for its jobs, and each of them has its own", _PUT_INTO_JOBS),
        "health.maxRestarts": (_OF_THE_JOBS, _PUT_INTO_JOBS),
        "health.restartWindow": (_OF_THE_JOBS, _PUT_INTO_JOBS),
        "health.checkpointStall": (_OF_THE_JOBS, _PUT_INTO_JOBS),
        "health.rollback": ("a session that does not become stable is not rolled back", "leave it out"),
    },
    "SessionJob": {
        "job.prestart": ("its processes are those of its session, which run already", "leave it out"),
        "flinkVersion": ("a session job runs on the Flink of its session", _PUT_INTO_SESSION),
        "user": (_OF_THE_SESSION, _PUT_INTO_SESSION),
        "env": (_OF_THE_SESSION, _PUT_INTO_SESSION),
        "secrets": (_OF_THE_SESSION, _PUT_INTO_SESSION),
        "jobManager": (_OF_THE_SESSION, _PUT_INTO_SESSION),
        "taskManager": (_OF_THE_SESSION, _PUT_INTO_SESSION),
        "placement": (_OF_THE_SESSION, _PUT_INTO_SESSION),
        "health.launchTimeout": (_OF_THE_SESSION, _PUT_INTO_SESSION),
    },
}  # fmt: skip
"""By kind: dotted path → why it is refused, and what to do."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "Application": ("flinkVersion", "job"),
    "Session": ("flinkVersion",),
    "SessionJob": ("session", "job"),
}

CLUSTER_KEYS = (
    "akka.", "blob.", "classloader.", "client.", "cluster.", "env.", "fs.", "heartbeat.", "historyserver.",
    "jobmanager.", "metrics.", "pekko.", "plugin.", "process.", "queryable-state.", "resourcemanager.", "rest.", "s3.",
    "security.", "slot.", "slotmanager.", "taskmanager.", "web.", "zookeeper.",
)  # fmt: skip
"""Beginnings of the keys of `flinkConfiguration` that Flink reads once per process, not per job."""


def check(document: dict[str, Any]) -> Iterator[SpecError]:
    """What this kind of spec lacks, and what it has that is not its own."""
    kind = document.get("kind", "Application")
    if kind not in KINDS:
        return
    for path, (why, hint) in MISPLACED[kind].items():
        if _take(document, path) is not None:
            yield problem(path, f"is refused: {why}", hint)
    for path in NEEDED[kind]:
        if path not in document:
            yield problem(path, "is required", REQUIRED[path])
    if kind == "SessionJob":
        yield from _job_keys(document)


def _take(document: dict[str, Any], path: str) -> Any:
    """Remove the value at `path`; None when there is none."""
    *above, last = path.split(".")
    node: Any = document
    for part in above:
        node = node.get(part) if isinstance(node, dict) else None
    return node.pop(last, None) if isinstance(node, dict) else None


def _job_keys(document: dict[str, Any]) -> Iterator[SpecError]:
    configuration = document.get("flinkConfiguration")
    if not isinstance(configuration, dict):
        return
    for key in list(configuration):
        if key.startswith(CLUSTER_KEYS):
            path = f"flinkConfiguration.{key}"
            yield problem(path, f"{shown(key)} is refused: Flink reads it once per process", _PUT_INTO_SESSION)
            del configuration[key]
