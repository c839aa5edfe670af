"""What Mesos and Flink last said about one job. Memory only: every new leader rebuilds it.

Absence of an answer is a value of its own everywhere here, because silence is not death (S6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.record import SessionRef


class TaskState(StrEnum):
    """Mesos task states (Mesos docs, "Task State Reasons" and "High Availability Framework Guide")."""

    STAGING = "TASK_STAGING"
    STARTING = "TASK_STARTING"
    RUNNING = "TASK_RUNNING"
    KILLING = "TASK_KILLING"
    FINISHED = "TASK_FINISHED"
    FAILED = "TASK_FAILED"
    KILLED = "TASK_KILLED"
    ERROR = "TASK_ERROR"
    LOST = "TASK_LOST"
    DROPPED = "TASK_DROPPED"
    UNREACHABLE = "TASK_UNREACHABLE"
    GONE = "TASK_GONE"
    GONE_BY_OPERATOR = "TASK_GONE_BY_OPERATOR"
    UNKNOWN = "TASK_UNKNOWN"

    @property
    def dead(self) -> bool:
        """True when the task can never run again. LOST, UNREACHABLE and UNKNOWN prove nothing."""
        return self in _DEAD

    @property
    def alive(self) -> bool:
        return self in _ALIVE

    @property
    def unclear(self) -> bool:
        """True when Mesos cannot tell whether it runs."""
        return self in _UNCLEAR


_DEAD = frozenset(
    {
        TaskState.FINISHED, TaskState.FAILED, TaskState.KILLED, TaskState.ERROR,
        TaskState.DROPPED, TaskState.GONE, TaskState.GONE_BY_OPERATOR,
    }
)  # fmt: skip
_ALIVE = frozenset({TaskState.STAGING, TaskState.STARTING, TaskState.RUNNING, TaskState.KILLING})
_UNCLEAR = frozenset({TaskState.LOST, TaskState.UNREACHABLE, TaskState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class TaskObservation:
    """The last status of one task; `since` is when it entered this state (leader's clock, seconds)."""

    state: TaskState
    since: float
    agent_id: str | None = None
    reason: str | None = None
    message: str | None = None


class OperationState(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    """Flink answered that it does not know the trigger, and its directory holds no complete savepoint."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An asynchronous Flink operation (savepoint, stop) by our own trigger id.

    A failed stop may still have written its savepoint: then `path` is set beside `error`
    (StopWithSavepointStoppingException names it).
    """

    state: OperationState
    path: str | None = None
    error: str | None = None
    checkpoint_id: int = 0
    """Read from the savepoint itself, because it orders snapshots (S2); 0: it could not be read."""


class JobState(StrEnum):
    """Flink job states (Flink docs, "Jobs and Scheduling")."""

    INITIALIZING = "INITIALIZING"
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    FAILING = "FAILING"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELED = "CANCELED"
    FINISHED = "FINISHED"
    RESTARTING = "RESTARTING"
    SUSPENDED = "SUSPENDED"
    RECONCILING = "RECONCILING"

    @property
    def terminal(self) -> bool:
        """Globally terminal: no JobManager runs this job again. SUSPENDED is not."""
        return self in (JobState.FAILED, JobState.CANCELED, JobState.FINISHED)


@dataclass(frozen=True, slots=True)
class FlinkObservation:
    """One answer of a JobManager's REST API about the generation's own job id.

    `reachable` False: nothing is known. `reachable` and `job_state` None: it answered, but does not
    list the job (yet); right after a start that is normal for seconds and never means "gone".
    """

    at: float
    reachable: bool
    job_id: str | None = None
    job_state: JobState | None = None
    vertices_running: bool = False
    """Every vertex has all of its subtasks RUNNING; a job state of RUNNING alone does not say so."""
    parallelism: int | None = None
    task_managers: frozenset[str] = frozenset()
    """Resource ids (Mesos task ids) of the registered TaskManagers."""
    busy_task_managers: frozenset[str] = frozenset()
    completed_checkpoints: int = 0
    latest_checkpoint_id: int | None = None
    latest_checkpoint_path: str | None = None
    latest_checkpoint_at: float | None = None
    restored_from: str | None = None
    leader_url: str | None = None
    """REST address of the JobManager that Flink's election names (`leader/rest_server`), when it is known."""
    failure: str | None = None
    """The root exception of the job, when Flink reports one."""
    flink_restarts: int = 0
    operations: Mapping[str, Operation] = field(default_factory=dict)
    """By trigger id, for the triggers that were asked about."""
    error: str | None = None
    """Why it was not reachable."""


LIVING = -1
"""In place of a generation: a look while a JobManager may run, which says nothing about the end (fault 62)."""


@dataclass(frozen=True, slots=True)
class RestoreView:
    """What storage and the HA metadata say about a generation's newest state, read after it ended.

    `answered` False: ZooKeeper or storage did not answer; nothing may be concluded (fault 54).
    """

    generation: int
    """Or `LIVING`."""
    answered: bool
    job_id: str = ""
    ha_metadata: bool = False
    """Flink's HA data of the job exists."""
    accepted: bool = False
    """The HA data holds the submitted job itself: whichever JobManager leads runs it."""
    checkpoint_path: str | None = None
    checkpoint_id: int | None = None
    checkpoint_lost: bool = False
    """The newest checkpoint that the HA data names is not there, whatever older one is."""
    savepoints: tuple[tuple[int, str], ...] = ()
    """(checkpoint id or 0 if unknown, path) of complete savepoints below the trigger directory asked about."""
    missing: tuple[str, ...] = ()
    """Paths that were asked about and do not exist."""
    asked: tuple[str, ...] = ()
    """Paths that were asked about."""
    terminal: str | None = None
    """The globally terminal state in the job result store, if the job has an entry there."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SessionView:
    """What a session job sees of a session: the persisted record of that, and what runs of it."""

    name: str
    known: bool = False
    """False: nothing may be concluded, because Mesos has not answered or the record is not readable (S6)."""
    uid: str | None = None
    generation: int | None = None
    flink_version: str = ""
    url: str | None = None
    """REST address of the running JobManager of that generation."""
    ready: bool = False
    """It takes jobs: its JobManager answers, and nobody has decided to end its generation."""
    ending: bool = False
    """Its generation is being ended for the next one; that waits until no job needs it."""
    alive: frozenset[tuple[str, int]] = frozenset()
    """(uid, generation) of every JobManager that is not known dead."""
    slots: int = 0
    """Of its TaskManagers, for all of its jobs."""
    why: str = ""
    """Why it is not ready, one sentence."""

    def url_of(self, ref: SessionRef) -> str | None:
        return self.url if (self.uid, self.generation) == (ref.uid, ref.generation) else None

    def ends(self, ref: SessionRef) -> bool:
        return self.known and self.ending and (self.uid, self.generation) == (ref.uid, ref.generation)

    def dead(self, ref: SessionRef) -> bool:
        """True when no JobManager of that generation runs or ever will."""
        current = (self.uid, self.generation) == (ref.uid, ref.generation)
        return self.known and self.uid is not None and not current and (ref.uid, ref.generation) not in self.alive


@dataclass(frozen=True, slots=True)
class SessionJob:
    """A job that names a session, as the session sees it."""

    name: str
    needs: frozenset[int] = frozenset()
    """Generations of the session that it needs."""
    unknown: bool = False
    """Nobody can tell what it needs: its record is unreadable, or was just written with an unknown outcome."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Flink's answer to one attempt of a submission."""

    attempt: int
    error: str


@dataclass(frozen=True, slots=True)
class Observation:
    """All that is known about one job at one moment."""

    since: float = 0.0
    """When this leader began to act; what nobody could see before that does not count as waiting."""
    complete: bool = False
    """Mesos has answered for every placed task since this leader began (S6)."""
    tasks: Mapping[str, TaskObservation] = field(default_factory=dict)
    """By task id."""
    flink: FlinkObservation | None = None
    unreachable_since: float | None = None
    """Since when the JobManager has not answered, or None while it does."""
    unregistered_since: Mapping[str, float] = field(default_factory=dict)
    """By task id: since when a JobManager has answered without naming this TaskManager."""
    restore: RestoreView | None = None
    """Kept only while decisions go on asking for it, so it is never older than what made them ask."""
    cleaned: frozenset[str] = frozenset()
    """Job ids of ended generations whose HA data and job result were removed."""
    disposed: frozenset[str] = frozenset()
    """Paths of savepoints that were disposed of."""
    referenced: frozenset[str] | None = None
    """Paths of this job's snapshots that another job's desired state or record names; None: nobody has looked."""
    rescale_refused: str | None = None
    """Why Flink refused to change the parallelism in place, if it did."""
    flink_restarts: tuple[tuple[float, int], ...] = ()
    """(time, Flink's own restart count) as sampled from one JobManager; bounded, oldest first."""
    newer_task: str | None = None
    """A live task that only a newer record could know (fault 64)."""
    sessions: Mapping[str, SessionView] = field(default_factory=dict)
    """By name: the session that a session job runs in, and the one that its spec names."""
    session_jobs: tuple[SessionJob, ...] = ()
    """Every job that names this session."""
    submit_refused: Refusal | None = None
    forbidden: frozenset[str] = frozenset()
    """Job ids that no JobManager of their session will ever accept again, and none runs."""
    upcoming: FlinkObservation | None = None
    """What the waiting JobManager of the next generation said last: which TaskManagers it has."""
    opened: frozenset[str] = frozenset()
    """Job ids whose gate is known to be open."""
    draining: frozenset[str] = frozenset()
    """Ids and hostnames of agents that are to be empty."""
    may_move: bool = False
    """True while this job may begin to move a task away from such an agent."""
    moving: bool = False
    """True while this job is one of those that do."""
    held_back: str | None = None
    """Why nothing that runs may be interrupted just now, beyond what was begun before (S7)."""
    waiting: str | None = None
    """Why wanted tasks are not placed, one sentence with numbers, from the last matching pass."""


NOTHING = Observation()
