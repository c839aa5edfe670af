"""What the operator remembers about one job, persisted in `/weir/records/<name>`.

A record is written before any effect that follows from it is released (S4), so reading it back
tells a new leader everything that may have happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model import ids
from reconciler.model.spec import JobSpec

SCHEMA_VERSION = 1


class Lifecycle(StrEnum):
    """Where a job is; the names are those of the Flink Kubernetes operator where it has one."""

    CREATED = "CREATED"
    UPGRADING = "UPGRADING"
    DEPLOYED = "DEPLOYED"
    STABLE = "STABLE"
    RECONCILING = "RECONCILING"
    SUSPENDED = "SUSPENDED"
    FINISHED = "FINISHED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    FAILED = "FAILED"
    DELETING = "DELETING"
    DELETED = "DELETED"
    BLOCKED = "BLOCKED"


class Role(StrEnum):
    """What a task runs; the value stands in its task id."""

    JOB_MANAGER = "jm"
    TASK_MANAGER = "tm"


class TaskPhase(StrEnum):
    """WANTED: decided, not yet placed. PLACED: agent, ports and id are persisted; it may be running."""

    WANTED = "WANTED"
    PLACED = "PLACED"


class EndReason(StrEnum):
    """Why a generation is being ended."""

    UPGRADE = "UPGRADE"
    SUSPEND = "SUSPEND"
    RESTART = "RESTART"
    ROLLBACK = "ROLLBACK"
    DELETE = "DELETE"


class EndMode(StrEnum):
    """How a generation is ended. KILL is `last-state`: the JobManagers die, the checkpoints stay."""

    SAVEPOINT = "SAVEPOINT"
    CANCEL = "CANCEL"
    KILL = "KILL"
    NONE = "NONE"
    """The job is terminal already; only its tasks have to go."""


class SnapshotKind(StrEnum):
    SAVEPOINT = "savepoint"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class SpecRef:
    """One version of the desired state. `version` starts again at 0 when a node is recreated, czxid does not."""

    czxid: int
    version: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A savepoint or a retained checkpoint. (generation, checkpoint_id) orders them; file times do not."""

    kind: SnapshotKind
    path: str
    generation: int
    checkpoint_id: int = 0
    trigger_id: str | None = None
    time: float = 0.0
    reason: str = ""
    abandoned: bool = False
    """A person said to start from something else: kept for the history, never started from by itself."""

    @property
    def order(self) -> tuple[int, int, int]:
        """Sort key: newest last. A savepoint of the same checkpoint id wins, it is self-contained."""
        return (self.generation, self.checkpoint_id, 1 if self.kind is SnapshotKind.SAVEPOINT else 0)


@dataclass(frozen=True, slots=True)
class AgentAttribute:
    """One attribute of an agent, as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Task:
    """One wanted or placed Mesos task. An attempt number that was placed is never used again."""

    role: Role
    generation: int
    index: int
    """Which of the wanted tasks of its role it is; a TaskManager may take the place of another one."""
    attempt: int
    phase: TaskPhase = TaskPhase.WANTED
    wanted_at: float = 0.0
    not_before: float = 0.0
    """Not placed before this time (restart back-off)."""
    task_id: str | None = None
    agent_id: str | None = None
    hostname: str | None = None
    address: str | None = None
    """IP or name at which the agent's host is reached."""
    ports: tuple[int, ...] = ()
    placed_at: float | None = None
    kill_since: float | None = None
    """Set when the operator decided to kill it; the kill is repeated until the task is terminal."""
    kill_why: str | None = None
    attributes: tuple[AgentAttribute, ...] = ()
    """Attributes of the agent that the job's constraints named when it was placed."""
    fenced: bool = False
    """A person declared its generation dead: nothing waits for its death, and it is killed wherever it shows (S1)."""

    @property
    def placed(self) -> bool:
        return self.phase is TaskPhase.PLACED


class RestoreFrom(StrEnum):
    """What a person may name as the next restore point."""

    PATH = "path"
    LATEST = "latest"
    """The newest known state that is really there."""
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class RestoreTold:
    """A person's word on what the next generation starts from (S2)."""

    origin: RestoreFrom
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """The persisted intent to end a generation; once written it is followed to its end."""

    reason: EndReason
    mode: EndMode
    since: float
    trigger_id: str | None = None
    directory: str | None = None
    """The trigger's own target directory, so that a result which Flink forgot is found by listing."""
    attempt: int = 1
    """A stop that failed is tried again with the next attempt, which has a trigger id of its own."""
    not_before: float = 0.0
    error: str | None = None
    restore: Snapshot | None = None
    """What the next generation starts from, once it is known."""
    restore_known: bool = False
    told: RestoreTold | None = None
    """Where a person said the next generation starts from."""


@dataclass(frozen=True, slots=True)
class PendingSavepoint:
    """A savepoint of the running job that was asked for; persisted before Flink hears of it (fault 39)."""

    trigger_id: str
    directory: str
    reason: str
    """"manual" or "periodic"."""
    since: float
    attempt: int = 1
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionRef:
    """The generation of a session cluster that a job's generation runs in, for all of its life."""

    name: str
    uid: str
    generation: int
    flink_version: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One lineage step: it starts from one explicit restore point and has ids of its own."""

    number: int
    spec: JobSpec
    job_id: str
    cluster_id: str
    started_at: float
    restore: Snapshot | None = None
    running_since: float | None = None
    """Since when every vertex has been RUNNING without a break."""
    was_running: bool = False
    job_managers_launched: int = 0
    """How often a JobManager was wanted; above 0 a relaunch has to look at the HA metadata first."""
    checkpointed: bool = False
    """True once this generation completed a checkpoint: from then on it has state of its own to lose."""
    rollback: bool = False
    """Started to get back to the last stable spec."""
    judged_since: float | None = None
    """From when `health.readinessTimeout` counts, if not from its start: a restart is no new spec."""
    late: bool = False
    """Not STABLE within `health.readinessTimeout`; told once."""
    scaling_since: float | None = None
    """Set while the running job is being brought to the parallelism of `spec` in place."""
    rescaled: bool = False
    """Its parallelism was changed in place once, so a late call of that may still arrive."""
    terminal: str | None = None
    """The globally terminal Flink state that was seen (FINISHED, CANCELED, FAILED). It proves S1."""
    ending: Ending | None = None
    session: SessionRef | None = None
    """Set for a job of a session; `cluster_id` is then that of the session's generation."""
    submitted_at: float | None = None
    """When its job was first submitted to the session; None: no submission was ever sent."""
    submit_attempt: int = 1
    """Grows with each submission that Flink refused."""
    gated: bool = False
    """Its first processes were started while the generation before it ran: they wait until its gate is opened."""
    defaults: dict[str, str] | None = None
    """The operator's own `flinkConfiguration` when it began, which it keeps; None: it began before that was kept."""

    @property
    def flink_version(self) -> str:
        return self.session.flink_version if self.session is not None else self.spec.flink_version

    @property
    def needs_session(self) -> bool:
        """True while its job may run, or may come to run, in the session (S1)."""
        ended = self.terminal is not None or (self.ending is not None and self.ending.restore_known)
        return self.session is not None and not ended


@dataclass(frozen=True, slots=True)
class Retired:
    """An ended generation some of whose tasks may still be alive; its job result stays until they are dead."""

    number: int
    job_id: str
    cluster_id: str
    terminal: str | None


@dataclass(frozen=True, slots=True)
class FailedAgent:
    """An agent on which a task of the job failed."""

    agent_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Restarts:
    """The restart budget; it survives a change of leader."""

    total: int = 0
    attempt: int = 0
    """Consecutive failures; back to 0 after `restart.resetAfter` without one."""
    last_failure_at: float | None = None
    next_at: float = 0.0
    """No replacement is placed before this time."""
    recent: tuple[float, ...] = ()
    """Times of the latest failures, bounded; those that fell into a back-off count with the one before."""
    reason: str | None = None
    delay: float = 0.0
    """Seconds of the last back-off; `next_at` is never trusted to be further away than that (fault 59)."""
    failed_agents: tuple[FailedAgent, ...] = ()
    """Where the latest failures were, bounded: placing avoids these agents for a while."""
    gave_up: bool = False
    """True once the strategy gave up; when a person lets the job go on, its budget starts afresh."""
    problem: str | None = None
    """What is wrong with the strategy, so that the same trouble is told once (fault 57)."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An earlier life of the name: tasks of this uid may be killed, its final state is still there."""

    uid: str
    deleted_at: float
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A person asked to observe and not to act."""

    since: float
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request of a person; its id is remembered so that it is carried out once."""

    id: str
    action: str
    accepted: bool
    answer: str
    at: float
    by: str = ""


@dataclass(frozen=True, slots=True)
class ForcedFence:
    """A person declared a generation dead (S1); what followed from that is theirs."""

    generation: int
    at: float
    by: str = ""


@dataclass(frozen=True, slots=True)
class PastGeneration:
    """A generation that has ended: what it ran, from what it started and why it ended."""

    number: int
    spec: JobSpec
    started_at: float
    ended_at: float
    reason: str
    restore: str | None = None
    was_stable: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is remembered of one job."""

    name: str
    uid: str
    seen: SpecRef
    lifecycle: Lifecycle = Lifecycle.CREATED
    schema: int = SCHEMA_VERSION
    spec: JobSpec | None = None
    """The last valid spec that was read. Reconciled towards, also while a newer one is invalid."""
    stable_spec: JobSpec | None = None
    generation: Generation | None = None
    upcoming: Generation | None = None
    """The next generation, whose processes come up while the current one still runs; it has submitted nothing."""
    retired: tuple[Retired, ...] = ()
    tasks: tuple[Task, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    savepoint: PendingSavepoint | None = None
    savepoint_nonce: int = 0
    """The last `job.savepointTriggerNonce` that was carried out."""
    next_savepoint: int = 1
    last_savepoint_at: float | None = None
    disposing: tuple[str, ...] = ()
    """Paths of savepoints that are being removed: aged out, or of a deleted job with `disposeOnDelete`."""
    disposal_since: float | None = None
    """Since when the savepoints of this deleted job are being removed."""
    rolled_back: JobSpec | None = None
    """A desired state that did not become stable, or that a person rolled back; not tried again until it changes."""
    rollback_to: JobSpec | None = None
    """What runs instead of it; None: the last stable spec."""
    restarts: Restarts = field(default_factory=Restarts)
    next_attempt: int = 1
    """The next unused attempt number of this job; it only grows."""
    next_generation: int = 1
    resume: Snapshot | None = None
    """What a suspended job starts from again; None after a stateless suspend."""
    tombstones: tuple[Tombstone, ...] = ()
    blocked: str | None = None
    """Reason code of BLOCKED."""
    blocked_why: str = ""
    """The sentence for people, with the command to go on."""
    deleted_at: float | None = None
    paused: Pause | None = None
    unpaused_at: float = 0.0
    """When a pause ended: no time-out counts what lies before it."""
    answers: tuple[Answer, ...] = ()
    """The latest answered requests, oldest first, bounded."""
    fenced: tuple[ForcedFence, ...] = ()
    """Generations that a person declared dead, bounded."""
    history: tuple[PastGeneration, ...] = ()
    """Ended generations, oldest first, bounded in number and size."""

    def newest_snapshot(self) -> Snapshot | None:
        """The newest known state by (generation, checkpoint id), or None (S2)."""
        usable = [snapshot for snapshot in self.snapshots if not snapshot.abandoned]
        return max(usable, key=lambda snapshot: snapshot.order, default=None)

    @property
    def current_number(self) -> int:
        """The number of the current generation, or of the last one that there was; 0 before the first."""
        return self.generation.number if self.generation is not None else self.next_generation - 1

    def generation_of(self, task: Task) -> Generation | None:
        """The generation that a task belongs to, unless it has ended."""
        both = (self.generation, self.upcoming)
        return next((each for each in both if each is not None and each.number == task.generation), None)

    def task_name(self, task: Task) -> str:
        """The Mesos task id of `task`, whether it is placed yet or not."""
        if task.task_id is not None:
            return task.task_id
        return ids.task_id(self.name, self.uid, task.generation, task.role.value, task.index, task.attempt)
