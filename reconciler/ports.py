"""The seams of the domain: what it needs from ZooKeeper, Mesos and Flink, as Protocols.

Calls block and raise; the loop never makes one itself but hands them to a pool, whose answers come
back as events. Every port has a shipped fake that refuses what the real thing refuses, and one
contract suite runs on both (`tests/contract`).

    PortError
    ├── StoreError
    │   ├── StoreUnavailable     nobody knows whether a write was applied: read back
    │   ├── Fenced               a newer leader exists: abdicate
    │   ├── VersionConflict      the record is not what we thought: read back
    │   ├── ValueTooLarge        over ZooKeeper's limit, nothing was written
    │   └── SchemaTooNew         a newer Weir wrote this tree: do not lead
    ├── ClusterUnavailable       not subscribed; nothing was sent
    └── FlinkError
        ├── FlinkUnreachable     no answer: nothing is known about the job
        └── FlinkRefused         Flink answered with an error
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.model.control import RawRequest
from reconciler.model.decision import FindRestorePoint, OpenGate
from reconciler.model.events import (
    DesiredTree,
    Event,
    RawSpec,
    StoredOperator,
    StoredRecord,
    TaskUpdate,
    UnreadableRecord,
)
from reconciler.model.observation import FlinkObservation, RestoreView
from reconciler.model.operator import OperatorRecord
from reconciler.model.record import Generation, Record, Task
from reconciler.model.resources import TaskInfo
from reconciler.model.status import JobEvent, LeaderInfo, Status

EventSink = Callable[[Event], None]


class PortError(Exception):
    """An answer that is not what was asked for."""


class StoreError(PortError):
    """ZooKeeper refused or did not answer."""


class StoreUnavailable(StoreError):
    """No answer; a write may or may not have been applied."""


class Fenced(StoreError):
    """The epoch has moved on: another replica leads."""


class VersionConflict(StoreError):
    """The znode has another version than the one named."""


class ValueTooLarge(StoreError):
    """The value would not fit into a znode."""


class SchemaTooNew(StoreError):
    """The tree was written by a newer version."""


class ClusterUnavailable(PortError):
    """Not subscribed with a master; the call was not sent."""


class FlinkError(PortError):
    """A Flink REST call failed."""


class FlinkUnreachable(FlinkError):
    """No answer, or one that says "not yet" (503); nothing may be concluded."""


class FlinkRefused(FlinkError):
    """Flink answered with an error; the message is Flink's."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What every write of a leader checks: the epoch node still has this version (S5)."""

    epoch: int
    version: int


@dataclass(frozen=True, slots=True)
class JobChange:
    """Everything that one decision writes, applied in one multi together with the fence check."""

    name: str
    record: Record | None
    """None deletes the record."""
    expected_version: int | None
    """The record's znode version; None: it must not exist yet."""
    status: Status | None = None
    """None leaves the status as it is, unless the record is deleted: then it goes too."""
    events: tuple[JobEvent, ...] = ()
    write_record: bool = True
    """False: only status and events change."""
    answered: int | None = None
    """The version of the request in `/weir/control/<name>` that is answered with this change, and removed."""


@dataclass(frozen=True, slots=True)
class OperatorChange:
    """What is written about all jobs, in one multi together with the fence check."""

    record: OperatorRecord
    expected_version: int | None
    events: tuple[JobEvent, ...] = ()
    answered: tuple[tuple[str, int], ...] = ()
    """Names and versions of the requests that are answered with it, and removed."""


class Store(Protocol):
    """The ZooKeeper tree of `docs/concepts.md`. Reads raise `StoreUnavailable`, never answer "nothing" instead."""

    def load_jobs(self, after: int | None = None) -> DesiredTree:
        """The desired tree. `after` names the reading that was taken over last (`DesiredTree.reading`): if that was

        the last one and nothing but edits and new names came since, only those are read and returned. Whatever is
        not plain, a node that is gone or was created again among it, is answered with the whole tree.
        """
        ...

    def load_job(self, name: str) -> RawSpec | None: ...

    def load_records(self) -> Mapping[str, StoredRecord | UnreadableRecord]: ...

    def load_record(self, name: str) -> StoredRecord | UnreadableRecord | None: ...

    def load_status(self, name: str) -> Status | None: ...

    def load_events(self, name: str) -> tuple[JobEvent, ...]: ...

    def load_control(self) -> Mapping[str, RawRequest]:
        """Requests of people, by the name of the job that they are about."""
        ...

    def load_operator(self) -> StoredOperator | None: ...

    def commit(self, fence: Fence, change: JobChange) -> int:
        """Apply the change atomically; the record's new znode version (-1 when it was not written)."""
        ...

    def commit_operator(self, fence: Fence, change: OperatorChange) -> int:
        """Apply the change atomically; the new version of the operator's record."""
        ...

    def watch(self, sink: EventSink) -> None:
        """Send `DesiredChanged` whenever desired tree or requests may have changed, until `unwatch`."""
        ...

    def unwatch(self) -> None: ...

    def sync(self) -> None:
        """After this, reads see everything that was written before it."""
        ...

    def load_framework_id(self) -> str | None: ...

    def save_framework_id(self, fence: Fence, framework_id: str) -> None: ...

    def load_leader(self) -> LeaderInfo | None: ...


class JobWriter(Protocol):
    """What users and the CLI may write; the operator itself has no such object (S3)."""

    def put_job(self, name: str, data: bytes, expected: int | None = None, *, create: bool = False) -> int:
        """Create or replace desired state; the new znode version. `expected` makes it compare-and-set.

        `create`: it must not exist yet. VersionConflict when it is not as expected.
        """
        ...

    def delete_job(self, name: str) -> None: ...

    def put_request(self, name: str, data: bytes) -> None:
        """Ask for something. VersionConflict while another request about the same name waits for its answer."""
        ...

    def withdraw_request(self, name: str) -> None:
        """Take back a request that was not answered yet; no error when there is none."""
        ...


class Lease(Protocol):
    """Leadership for one epoch."""

    @property
    def fence(self) -> Fence: ...

    def may_act(self) -> bool:
        """False from SUSPENDED or from an own deadline shorter than the session time-out, whichever is first."""
        ...

    def lost(self) -> bool:
        """True once leadership cannot come back: drop all memory and contend anew."""
        ...

    def release(self) -> None: ...


class Election(Protocol):
    def acquire(self, info: LeaderInfo, timeout: float | None = None) -> Lease | None:
        """Wait until this replica leads; None when `timeout` seconds passed or `stop` was called."""
        ...

    def stop(self) -> None:
        """Make a waiting `acquire` return."""
        ...


class Cluster(Protocol):
    """A Mesos master. Events arrive through the sink given to `start`, in order."""

    def start(self, framework_id: str | None, sink: EventSink) -> None: ...

    def stop(self) -> None:
        """Leave without tearing the framework down: every task goes on running."""
        ...

    def accept(self, offer_ids: Sequence[str], tasks: Sequence[TaskInfo]) -> None:
        """Launch tasks on one agent from all of its offers; what is left of them is declined by Mesos."""
        ...

    def decline(self, offer_ids: Sequence[str], refuse_seconds: float) -> None: ...

    def accept_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        """These agents may go, as far as we are concerned; asked again after so many seconds while tasks are there."""
        ...

    def decline_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        """These agents should not go yet; asked again after so many seconds."""
        ...

    def suppress(self) -> None: ...

    def revive(self) -> None: ...

    def kill(self, task_id: str, agent_id: str | None, grace_s: float) -> None: ...

    def acknowledge(self, update: TaskUpdate) -> None:
        """Acknowledge an update that carries a uuid; others must not be acknowledged."""
        ...

    def reconcile(self, tasks: Sequence[tuple[str, str | None]]) -> None:
        """Explicit reconciliation of (task id, agent id); implicit when the sequence is empty."""
        ...


@dataclass(frozen=True, slots=True)
class FlinkTarget:
    """Where one generation's JobManager answers."""

    version: str
    url: str
    job_id: str
    cluster_id: str
    shared: bool = False
    """The JobManager is a session's, which has other jobs too."""


@dataclass(frozen=True, slots=True)
class JobSubmission:
    """What is submitted to a session: a JAR, and how it is run."""

    uri: str
    entry_class: str | None
    args: tuple[str, ...]
    parallelism: int
    restore: str | None
    allow_non_restored_state: bool
    configuration: Mapping[str, str]
    """Of the job, above that of the session."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """An operation whose outcome is asked for."""

    trigger_id: str
    directory: str
    stop: bool = field(default=False)


class Flink(Protocol):
    """JobManagers over REST, and what they left in storage and ZooKeeper."""

    def observe(self, target: FlinkTarget, triggers: Sequence[Trigger], now: float) -> FlinkObservation:
        """Look at the job. Never raises for an unreachable JobManager: that is an answer."""
        ...

    def observe_session(self, target: FlinkTarget, now: float) -> FlinkObservation:
        """Look at a session's JobManager and TaskManagers; `job_state` stays None. Never raises for silence."""
        ...

    def submit(self, target: FlinkTarget, submission: JobSubmission) -> None:
        """Submit the target's job to the session. A job id that was accepted before is not an error.

        FlinkRefused when the program itself fails, FlinkUnreachable when nobody knows what came of it.
        """
        ...

    def forbid(self, job_id: str, cluster_id: str, version: str) -> None:
        """Plant a result of the job, so that a submission that is still under way is refused.

        Returns when the result has lain there for longer than a submission takes inside a JobManager and
        none was accepted; FlinkUnreachable before that, FlinkRefused when the job was accepted after all.
        """
        ...

    def stop_with_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None: ...

    def trigger_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None: ...

    def cancel(self, target: FlinkTarget) -> None: ...

    def rescale(self, target: FlinkTarget, parallelism: int) -> None:
        """Change the job's resource requirements; FlinkRefused when its scheduler cannot."""
        ...

    def open_gate(self, gate: OpenGate) -> None:
        """Let the JobManager that waits in this cluster submit its job, from this restore point. Idempotent.

        FlinkRefused when it was let in with another one, FlinkUnreachable when nobody knows whether it is open.
        """
        ...

    def dispose(self, target: FlinkTarget, path: str) -> None:
        """Dispose of a savepoint, waiting for the end; one that is gone already is disposed of."""
        ...

    def discard(self, path: str) -> None:
        """Remove a savepoint from storage without a JobManager; one that is gone already is no error.

        FlinkRefused for what is no savepoint's directory, FlinkUnreachable when storage does not answer.
        """
        ...

    def find_restore_point(self, what: FindRestorePoint) -> RestoreView:
        """Read HA metadata, checkpoints and savepoints of an ended generation. Never raises for silence."""
        ...

    def clean_up(self, job_id: str, cluster_id: str) -> None:
        """Remove HA data and job result of a generation whose tasks are all dead; idempotent."""
        ...


class Runner(Protocol):
    """Runs blocking calls away from the loop. Calls of one lane keep their order if the lane has one worker."""

    def submit(self, lane: str, call: Callable[[], Event | None]) -> None:
        """Run `call` soon; the event that it returns comes back through the loop's queue."""
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, never going backwards while a leader lives (fault 59)."""
        ...


class Notify(Protocol):
    """Where people are told of what happened to jobs; never blocks and never raises."""

    def tell(self, job: str, event: JobEvent) -> None: ...


class Renderer(Protocol):
    """Command lines and configuration of Flink processes. Pure: it reads nothing."""

    def render(self, record: Record, generation: Generation, task: Task) -> TaskInfo: ...

    def submission(self, record: Record, generation: Generation) -> JobSubmission:
        """What a job of a session is submitted as."""
        ...
