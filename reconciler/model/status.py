"""What people and scripts read: `/weir/status/<name>`, `/weir/events/<name>`, `/weir/leader/info`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

EVENTS_KEPT = 200


class _Published(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class Observed(_Published):
    """Which version of the desired state the status speaks of."""

    czxid: int
    version: int


class TaskCounts(_Published):
    """Running against wanted, such as "1/1"."""

    job_manager: str
    task_manager: str


class SnapshotStatus(_Published):
    kind: Literal["savepoint", "checkpoint"]
    path: str
    time: str


class TaskStatus(_Published):
    """One task as `describe` shows it."""

    id: str
    role: Literal["jm", "tm"]
    state: str
    agent: str | None = None
    hostname: str | None = None


class SpecError(_Published):
    """One thing that is wrong with a spec: where, what, and what to do."""

    path: str
    """Dotted path of the field (`job.parallelism`), or empty for the document as a whole."""
    message: str
    hint: str | None = None

    def sentence(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")


class RequestStatus(_Published):
    """What became of a request of a person (`/weir/control/<name>`)."""

    id: str
    action: str
    accepted: bool
    answer: str
    by: str = ""
    time: str = ""


class Status(_Published):
    """Short and readable: what state the job is in and why."""

    lifecycle: str
    why: str
    observed: Observed | None = None
    accepted: bool = True
    error: str | None = None
    """Why the newest desired state was not accepted; the job goes on with the last valid one."""
    kind: str = "Application"
    session: str | None = None
    """The session that a session job runs in, or waits for."""
    generation: int = 0
    job_id: str | None = None
    job_state: str | None = None
    job_manager_url: str | None = None
    flink_version: str | None = None
    parallelism: int | None = None
    tasks: TaskCounts | None = None
    task_list: tuple[TaskStatus, ...] = ()
    restarts: int = 0
    last_snapshot: SnapshotStatus | None = None
    restored_from: str | None = None
    paused: bool = False
    """True while a person has this job, or everything, paused: it is observed and nothing is done."""
    held: bool = False
    """True when the desired state vanished in a way that is no delete."""
    blocked: str | None = None
    """Reason code of BLOCKED; `why` says what to do."""
    last_request: RequestStatus | None = None
    leader_epoch: int = 0
    time: str = ""


class JobEvent(_Published):
    """One line of a job's history; equal neighbours are counted, not repeated."""

    time: str
    code: str
    message: str
    warning: bool = False
    generation: int = 0
    epoch: int = 0
    count: int = 1


class LeaderInfo(_Published):
    """Who leads, and where its API is."""

    replica: str
    host: str
    pid: int
    epoch: int = 0
    api: str | None = None
    master: str | None = None
    """Where it finds the Mesos masters, without credentials."""
    version: str = ""
    since: str = ""
