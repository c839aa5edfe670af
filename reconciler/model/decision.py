"""What `decide` returns: a new record, named effects, and one sentence why.

Effects are data with stable keys. The executor drops a key that is already in flight, so a decision
that is computed again before its effect has shown asks for nothing twice (L2).
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.control import Asked
from reconciler.model.observation import LIVING
from reconciler.model.reasons import Reason
from reconciler.model.record import Record, SpecRef, Task
from reconciler.model.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Desired:
    """What `/weir/jobs/<name>` asks for, after parsing."""

    name: str
    present: bool
    """False: the node is gone and that is confirmed to be a delete."""
    ref: SpecRef | None = None
    """Which version was read, valid or not."""
    spec: JobSpec | None = None
    """The newest version if it is valid; None: go on with the last valid one."""
    error: str | None = None
    """Why the newest version was not accepted."""
    adopt: bool = False
    """The node is a new one, but its job was not deleted: the tree was lost and put back (S7)."""
    held: str | None = None
    """Set when the node is missing in a way that is not a delete (S7)."""
    asked: Asked | None = None
    """The request of a person that waits in `/weir/control/<name>`."""
    paused: str | None = None
    """Set while everything is paused: who asked for it."""


@dataclass(frozen=True, slots=True)
class KillTask:
    """Ask Mesos to kill one task; repeated with back-off until a terminal status arrives."""

    task_id: str
    agent_id: str | None
    why: str

    @property
    def key(self) -> str:
        return f"kill/{self.task_id}"


@dataclass(frozen=True, slots=True)
class StopWithSavepoint:
    """Ask Flink to stop the job with a savepoint into the trigger's own directory."""

    job_id: str
    trigger_id: str
    directory: str

    @property
    def key(self) -> str:
        return f"stop/{self.trigger_id}"


@dataclass(frozen=True, slots=True)
class TriggerSavepoint:
    """Ask Flink for a savepoint of a job that goes on running."""

    job_id: str
    trigger_id: str
    directory: str

    @property
    def key(self) -> str:
        return f"savepoint/{self.trigger_id}"


@dataclass(frozen=True, slots=True)
class DisposeSavepoint:
    """Ask a running JobManager to dispose of a savepoint that nothing refers to any more."""

    path: str

    @property
    def key(self) -> str:
        return f"dispose/{self.path}"


@dataclass(frozen=True, slots=True)
class DiscardSavepoint:
    """Remove a savepoint of a job all of whose tasks are dead, by way of storage. Removing it again changes nothing."""

    path: str

    @property
    def key(self) -> str:
        return f"discard/{self.path}"


@dataclass(frozen=True, slots=True)
class RescaleJob:
    """Change the parallelism of the running job through its resource requirements (adaptive scheduler)."""

    job_id: str
    parallelism: int

    @property
    def key(self) -> str:
        return f"rescale/{self.job_id}/{self.parallelism}"


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Ask Flink to cancel the job."""

    job_id: str

    @property
    def key(self) -> str:
        return f"cancel/{self.job_id}"


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """Submit the generation's job to its session; Flink refuses a job id that it has accepted before."""

    job_id: str
    attempt: int

    @property
    def key(self) -> str:
        return f"submit/{self.job_id}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class ForbidJob:
    """Make sure that a session never runs a job whose submission may still be under way (S1)."""

    job_id: str
    cluster_id: str
    flink_version: str

    @property
    def key(self) -> str:
        return f"forbid/{self.job_id}"


@dataclass(frozen=True, slots=True)
class OpenGate:
    """Let the waiting JobManager of a generation submit its job: the one before has ended, its state is on record."""

    job_id: str
    cluster_id: str
    restore: str | None
    allow_non_restored_state: bool = False

    @property
    def key(self) -> str:
        return f"gate/{self.job_id}"


@dataclass(frozen=True, slots=True)
class FindRestorePoint:
    """Read, from storage and HA metadata, the newest state that an ended generation left behind."""

    generation: int
    """Or `LIVING`."""
    job_id: str
    cluster_id: str
    checkpoint_directory: str
    """Where the generation wrote its checkpoints (`ids.checkpoint_dir`)."""
    trigger_directories: tuple[str, ...] = ()
    """Where savepoints may lie that were asked for and whose end nobody has heard of."""
    paths: tuple[str, ...] = ()
    """Restore points whose existence has to be checked."""
    flink_version: str = ""

    @property
    def key(self) -> str:
        return f"restore/{self.job_id}" if self.generation != LIVING else f"look/{self.job_id}/{','.join(self.paths)}"


@dataclass(frozen=True, slots=True)
class CleanUpGeneration:
    """Remove HA data and job result of a generation whose tasks are all known dead."""

    generation: int
    job_id: str
    cluster_id: str

    @property
    def key(self) -> str:
        return f"cleanup/{self.job_id}"


@dataclass(frozen=True, slots=True)
class ReconcileTask:
    """Ask Mesos what it knows of one task."""

    task_id: str
    agent_id: str | None
    pause_s: float = 10.0
    """Seconds before it may be asked again."""

    @property
    def key(self) -> str:
        return f"reconcile/{self.task_id}"


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Decide again at this time (leader's clock, seconds); a job has one timer, the earliest wins."""

    at: float

    @property
    def key(self) -> str:
        return "wake"


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Append to the job's bounded history. `code` says what it is about."""

    code: Reason
    message: str
    warning: bool = False

    @property
    def key(self) -> str:
        return f"event/{self.code}/{self.message}"


Effect = (
    KillTask | StopWithSavepoint | TriggerSavepoint | CancelJob | FindRestorePoint | DisposeSavepoint | RescaleJob
    | DiscardSavepoint | OpenGate | SubmitJob | ForbidJob | CleanUpGeneration | ReconcileTask | WakeAt | EmitEvent
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """The next record (None: forget the job), what to do once it is persisted, and why."""

    record: Record | None
    effects: tuple[Effect, ...] = ()
    why: str = ""
    answered: bool = False
    """True when the request in `Desired.asked` is answered with this record; it is removed in the same write."""
    paused: bool = False
    """True: nothing is placed either."""
    moving: bool = False
    """True while a task of the job leaves a drained agent, or the job recovers from that."""

    def wanted(self) -> tuple[Task, ...]:
        """Tasks that wait to be placed."""
        return tuple(task for task in self.record.tasks if not task.placed) if self.record else ()
