"""Every identity the operator uses, derived from persisted values only.

A new leader computes the same ids as the one before it, so a call that was repeated is the same
call, and a task that was launched is recognised (invariants S4, L2).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

TASK_ID = re.compile(
    r"^(?P<job>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\.(?P<uid>[0-9a-f]{10})\.(?P<generation>\d+)"
    r"\.(?P<role>jm|tm)\.(?P<index>\d+)\.(?P<attempt>\d+)$"
)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def job_uid(name: str, czxid: int) -> str:
    """10 hex digits for one life of a znode: deleting and recreating a name gives another uid."""
    return _digest("uid", name, czxid)[:10]


def cluster_id(name: str, uid: str, generation: int) -> str:
    """Flink's `high-availability.cluster-id`, unique per generation so that no HA data is shared."""
    return f"{name}-{uid}-{generation}"


def flink_job_id(uid: str, generation: int) -> str:
    """Flink's job id (32 hex digits), unique per generation."""
    return _digest("job", uid, generation)[:32]


def trigger_id(uid: str, generation: int, reason: str, number: int) -> str:
    """Flink's `triggerId` (32 hex digits) of one stop or savepoint; repeating it repeats nothing."""
    return _digest("trigger", uid, generation, reason, number)[:32]


def checkpoint_dir(storage: str, uid: str, generation: int) -> str:
    """Flink's `execution.checkpointing.dir` of one generation; Flink adds `/<job id>/chk-N`."""
    return f"{storage.rstrip('/')}/checkpoints/{uid}/{generation}"


def task_id(job: str, uid: str, generation: int, role: str, index: int, attempt: int) -> str:
    """The Mesos task id; `parse_task_id` reads it back."""
    return f"{job}.{uid}.{generation}.{role}.{index}.{attempt}"


@dataclass(frozen=True, slots=True)
class TaskName:
    """The parts of a Mesos task id of ours."""

    job: str
    uid: str
    generation: int
    role: str
    index: int
    attempt: int


def parse_task_id(value: str) -> TaskName | None:
    """The parts of a task id, or None when it is not one of ours."""
    match = TASK_ID.match(value)
    if match is None:
        return None
    return TaskName(
        match["job"],
        match["uid"],
        int(match["generation"]),
        match["role"],
        int(match["index"]),
        int(match["attempt"]),
    )


def fraction(*parts: object) -> float:
    """A number in [0, 1) that is the same for the same parts: jitter without chance."""
    return int(_digest("fraction", *parts)[:13], 16) / float(1 << 52)
