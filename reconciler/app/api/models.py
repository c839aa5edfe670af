"""What the API answers with. Times are ISO 8601 in UTC, durations seconds, sizes as the name says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from reconciler.model.status import JobEvent, LeaderInfo, SpecError, TaskCounts


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Problem(Answer):
    """Why a request could not be answered, and what to do."""

    error: str
    hint: str | None = None


class Check(Answer):
    ok: bool
    message: str


class Probe(Answer):
    """The answer of a health endpoint; `ok` says what the status code says."""

    ok: bool
    replica: str
    leads: bool
    checks: dict[str, Check]


class Leader(Answer):
    """Who leads, as this replica sees it."""

    replica: str
    leads: bool
    """Whether the answering replica is the leader."""
    leader: LeaderInfo | None


class SnapshotView(Answer):
    """A savepoint or a retained checkpoint."""

    kind: Literal["savepoint", "checkpoint"]
    path: str
    generation: int
    checkpoint_id: int
    time: str | None
    age_seconds: float | None
    reason: str = ""


class JobSummary(Answer):
    """One line of the list of jobs."""

    name: str
    lifecycle: str
    why: str
    """One sentence: what it waits for, or how it is."""
    accepted: bool | None
    """What was said of the newest desired state; null: nothing yet."""
    error: str | None
    reconciled: bool
    unreconciled_seconds: float
    blocked: str | None
    """Reason code, when the job waits for a person."""
    paused: bool
    """Whether a person has it, or everything, paused: it is observed and nothing is done."""
    held: bool
    """Whether its desired state vanished in a way that is no delete, so that it goes on until that is confirmed."""
    generation: int
    flink_version: str | None
    parallelism: int | None
    job_state: str | None
    tasks: TaskCounts | None
    restarts: int
    flink_restarts: int
    last_savepoint: SnapshotView | None
    last_checkpoint_time: str | None
    agents: list[str]
    """Host names of the agents that hold its tasks."""
    job_manager_url: str | None


class Jobs(Answer):
    jobs: list[JobSummary]
    epoch: int
    time: str


class DesiredView(Answer):
    """The newest version of `/weir/jobs/<name>`."""

    version: int
    czxid: int
    accepted: bool | None
    error: str | None
    errors: list[SpecError]
    spec: dict[str, Any] | None
    held: str | None = None


class Difference(Answer):
    """One field that differs between what runs and what is desired."""

    path: str
    running: Any = None
    desired: Any = None
    change: Literal["NONE", "IGNORE", "SCALE", "UPGRADE"]


class RestartsView(Answer):
    """The restart budget and its back-off."""

    total: int
    attempt: int
    strategy: str | None
    last_failure: str | None
    reason: str | None
    next_at: str | None
    """When the next start may happen, while that is in the future."""
    delay_seconds: float
    gave_up: bool
    avoided_agents: list[str]


class EndingView(Answer):
    """A generation that is being ended."""

    reason: str
    mode: str
    since: str
    attempt: int
    error: str | None


class RecordView(Answer):
    """What Weir remembers of the job, in short."""

    uid: str
    lifecycle: str
    generation: int | None
    started_at: str | None
    running_since: str | None
    flink_job_id: str | None
    cluster_id: str | None
    restored_from: str | None
    resumes_from: str | None
    ending: EndingView | None
    blocked: str | None
    blocked_why: str | None
    savepoint_since: str | None
    """Since when a savepoint has been under way."""
    error: str | None = None
    """Why the record cannot be read."""


class ActualView(Answer):
    """What Flink last said."""

    reachable: bool | None
    """null: nothing was heard yet."""
    asked_at: str | None
    job_state: str | None
    vertices_running: bool
    parallelism: int | None
    task_managers: int
    completed_checkpoints: int
    latest_checkpoint_path: str | None
    latest_checkpoint_time: str | None
    flink_restarts: int
    failure: str | None
    error: str | None


class TaskView(Answer):
    """One Mesos task."""

    id: str
    role: Literal["JobManager", "TaskManager"]
    index: int
    attempt: int
    generation: int
    state: str
    since: str | None
    agent_id: str | None
    hostname: str | None
    address: str | None
    ports: list[int]
    placed_at: str | None
    not_before: str | None
    being_killed: str | None
    """Why it is being killed."""
    message: str | None
    registered: bool | None
    """For a TaskManager: whether Flink knows it."""
    sandbox_url: str | None


class TaskLog(Answer):
    """The end of a file of a sandbox; `offset` is the byte that `text` begins with."""

    job: str
    task: str
    file: str
    size: int
    offset: int
    text: str


class JobDetail(JobSummary):
    """Everything about one job: desired, remembered, actual, and how they differ."""

    desired: DesiredView | None
    record: RecordView | None
    actual: ActualView
    running: dict[str, Any] | None
    """The spec that the current generation runs."""
    differences: list[Difference]
    task_list: list[TaskView]
    restart: RestartsView | None
    waiting_for_offer: str | None


class JobEvents(Answer):
    job: str
    events: list[JobEvent]


class NamedEvent(JobEvent):
    job: str


class Events(Answer):
    """The latest events of all jobs, newest first."""

    events: list[NamedEvent]


class GenerationView(Answer):
    """One generation as its events tell of it."""

    generation: int
    first: str
    last: str
    current: bool
    restored_from: str | None
    warnings: int
    events: list[JobEvent]


class History(Answer):
    job: str
    generations: list[GenerationView]


class Snapshots(Answer):
    job: str
    newest: SnapshotView | None
    snapshots: list[SnapshotView]


class CheckpointView(Answer):
    """One checkpoint of the running job, as its JobManager remembers it."""

    id: int
    kind: Literal["savepoint", "checkpoint"]
    status: str
    triggered_at: str
    duration_seconds: float
    size_bytes: int


class Checkpoints(Answer):
    job: str
    available: bool
    why: str | None
    """Why there are none."""
    checkpoints: list[CheckpointView]


class ReplicaView(Answer):
    name: str
    leads: bool


class HeldTask(Answer):
    job: str
    id: str
    role: Literal["JobManager", "TaskManager"]
    state: str


class AgentView(Answer):
    """An agent that holds tasks of ours, or that the master lists."""

    agent_id: str
    hostname: str
    active: bool | None
    """null: the master did not tell."""
    cpus: float | None
    memory_mb: float | None
    used_cpus: float | None
    used_memory_mb: float | None
    attributes: dict[str, str]
    tasks: list[HeldTask]
    drained: str | None
    """Who drains it and what is left there, one sentence; null: it is not drained."""
    url: str | None


class OfferView(Answer):
    id: str
    hostname: str
    role: str
    cpus: float
    memory_mb: float
    ports: int
    age_seconds: float


class DeclinedOffer(Answer):
    time: str
    hostname: str
    cpus: float
    memory_mb: float
    why: str
    refuse_seconds: float
    count: int
    """How often an offer of this agent was declined for this reason; the time is the last one's."""


class WaitingJob(Answer):
    job: str
    why: str


class MesosView(Answer):
    connected: bool
    master: str | None
    url: str | None
    """Of the master's own pages."""
    framework_id: str | None


class Cluster(Answer):
    """Leader and replicas, agents and what they hold, offers and why they were declined."""

    leader: LeaderInfo | None
    replicas: list[ReplicaView]
    mesos: MesosView
    acting: bool
    agents: list[AgentView]
    offers: list[OfferView]
    declined: list[DeclinedOffer]
    waiting: list[WaitingJob]


class Target(Answer):
    """One element of Prometheus' HTTP service discovery."""

    targets: list[str]
    labels: dict[str, str]


class ActionDone(Answer):
    """What an action wrote."""

    job: str
    action: str
    version: int
    """Version of the desired state that it made."""
    message: str
