"""Readers of REST bodies: from Flink's JSON to the values of `reconciler.model.observation`. Pure.

Fields that this version of Weir does not know are ignored, fields that are missing make the body
unusable: `KeyError` and the like become FlinkUnreachable in the adapter, never a made-up zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration.flink.rest import root_cause
from reconciler.model.observation import JobState, Operation, OperationState

_SAVED = re.compile(r"A savepoint has been created at: (\S+?),? but ")
_DONE = frozenset({"RUNNING", "FINISHED"})


@dataclass(frozen=True, slots=True)
class Vertices:
    """What `/jobs/:id` says."""

    state: JobState
    running: bool
    parallelism: int | None


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What `/jobs/:id/checkpoints` says about the job's own checkpoints."""

    completed: int = 0
    latest_id: int | None = None
    latest_path: str | None = None
    latest_at: float | None = None
    restored_from: str | None = None


def listed(body: Mapping[str, Any]) -> dict[str, JobState]:
    """Job id → state of `/jobs/overview`."""
    return {str(job["jid"]): JobState(job["state"]) for job in body["jobs"]}


def vertices(body: Mapping[str, Any]) -> Vertices:
    """A job state of RUNNING says that it was scheduled; only the vertices say that its tasks run.

    A subtask of a bounded source that has FINISHED is as good as one that runs.
    """
    found: Sequence[Mapping[str, Any]] = body["vertices"]
    state = JobState(body["state"])
    running = (
        state is JobState.RUNNING
        and bool(found)
        and all(sum(vertex["tasks"].get(name, 0) for name in _DONE) == vertex["parallelism"] for vertex in found)
        and any(vertex["tasks"].get("RUNNING", 0) for vertex in found)
    )
    return Vertices(state, running, max((int(vertex["parallelism"]) for vertex in found), default=None))


def checkpoints(body: Mapping[str, Any], job_id: str) -> Checkpoints:
    """After a failover the counts start again and nothing is "completed" yet: then the restored one is the latest."""
    latest = body["latest"]
    completed, restored = latest.get("completed"), latest.get("restored")
    restored_from = str(restored["external_path"]) if restored and restored.get("external_path") else None
    result = Checkpoints(completed=int(body["counts"]["completed"]), restored_from=restored_from)
    if completed is not None:
        return Checkpoints(
            completed=result.completed,
            latest_id=int(completed["id"]),
            latest_path=completed.get("external_path"),
            latest_at=completed["latest_ack_timestamp"] / 1000,
            restored_from=restored_from,
        )
    if restored_from is not None and f"/{job_id}/chk-" in restored_from:
        return Checkpoints(
            completed=result.completed,
            latest_id=int(restored["id"]),
            latest_path=restored_from,
            latest_at=restored["restore_timestamp"] / 1000,
            restored_from=restored_from,
        )
    return result


def task_managers(body: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """(registered, busy) resource ids of `/taskmanagers`; busy: at least one slot is taken."""
    found = body["taskmanagers"]
    busy = (str(tm["id"]) for tm in found if tm["freeSlots"] < tm["slotsNumber"])
    return frozenset(str(tm["id"]) for tm in found), frozenset(busy)


def failure(body: Mapping[str, Any]) -> str | None:
    """The newest root exception of `/jobs/:id/exceptions`, in one line."""
    entries = body.get("exceptionHistory", {}).get("entries", [])
    if not entries:
        return None
    newest = max(entries, key=lambda entry: entry.get("timestamp", 0))
    return root_cause(str(newest.get("stacktrace") or newest.get("exceptionName", ""))) or None


def result_failure(body: Mapping[str, Any]) -> str | None:
    """The cause in `/jobs/:id/execution-result`, in one line."""
    cause = (body.get("job-execution-result") or {}).get("failure-cause") or {}
    return root_cause(str(cause.get("stack-trace") or cause.get("class") or "")) or None


def restarts(body: Sequence[Mapping[str, Any]]) -> int:
    """`numRestarts` of `/jobs/:id/metrics`; 0 until Flink has collected it once."""
    values = [int(float(metric["value"])) for metric in body if "value" in metric]
    return max(values, default=0)


def operation(body: Mapping[str, Any]) -> Operation:
    """One asynchronous operation. Flink reports failures as COMPLETED with a cause (REST API docs).

    A stop that failed after its savepoint was written names the path in the cause (FLINK-33522,
    StopWithSavepointStoppingException; faults 41, 63).
    """
    if body["status"]["id"] != "COMPLETED":
        return Operation(OperationState.IN_PROGRESS)
    result = body.get("operation") or {}
    cause = result.get("failure-cause")
    if cause is None:
        return Operation(OperationState.COMPLETED, path=str(result["location"]))
    text = str(cause.get("stack-trace") or cause.get("class") or "unknown failure")
    saved = _SAVED.search(text)
    return Operation(OperationState.FAILED, path=saved[1] if saved else None, error=root_cause(text))
