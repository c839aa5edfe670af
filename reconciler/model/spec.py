"""The desired state of a job, as users write it into `/weir/jobs/<name>`.

Field names follow the Flink Kubernetes operator where it has one. Parsing of a znode's bytes, with
messages that name the field and suggest a repair, is in `spec_parse`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reconciler.model.units import Duration, Memory

JOB_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
JOB_NAME_MAX = 63

JobType = Literal["python", "jar", "sql"]
UpgradeMode = Literal["stateless", "savepoint", "last-state"]
DesiredState = Literal["running", "suspended"]
OnDelete = Literal["savepoint", "cancel", "keep"]

Cpus = Annotated[float, Field(gt=0, le=1024)]
Options = Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32)]
"""Settings of a strategy that Weir does not ship; only that strategy knows what they mean."""


class _Part(BaseModel):
    """Strict on purpose: a misspelt field that is silently ignored is an outage later."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, strict=True)


class Job(_Part):
    """What runs, and how it goes from one version to the next."""

    type: JobType
    uri: Annotated[str, Field(min_length=1, max_length=4096)]
    entry_class: str | None = None
    py_files: Annotated[list[str], Field(max_length=64)] = []
    args: Annotated[list[str], Field(max_length=256)] = []
    parallelism: Annotated[int, Field(ge=1, le=32768)] = 1
    state: DesiredState = "running"
    upgrade_mode: UpgradeMode = "savepoint"
    initial_savepoint_path: str | None = None
    allow_non_restored_state: bool = False
    savepoint_trigger_nonce: int = 0
    prestart: bool = False


NO_JOB = Job(type="jar", uri="-")
"""Stands for the job of a session, which has none: it is wanted to run, and never changes."""


class JobManager(_Part):
    """One JobManager process; `memory` is the total process memory."""

    cpus: Cpus = 0.5
    memory: Memory = 768
    disk: Memory | None = None
    replicas: Annotated[int, Field(ge=1, le=5)] = 1


class TaskManager(_Part):
    """One TaskManager process; `memory` is the total process memory."""

    cpus: Cpus = 1.0
    memory: Memory = 1024
    disk: Memory | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    slots: Annotated[int, Field(ge=1, le=1024)] = 2
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None


class Placement(_Part):
    """Where tasks may run; the strategy is a plugin (entry point group `weir.placement`)."""

    strategy: str = "spread"
    constraints: Annotated[list[list[str]], Field(max_length=64)] = []
    role: str = "*"
    options: Options = {}


class Restart(_Part):
    """How Weir itself restarts; the strategy is a plugin (entry point group `weir.restart`).

    Flink's own `restart-strategy` heals exceptions inside a running JobManager. This one decides
    about lost or exited tasks, a job that Flink gave up on, and an unhealthy one. Names follow Flink's
    restart strategies (Flink docs, "Task Failure Recovery"): `initialBackoff`, `maxBackoff` and
    `multiplier` are read by `exponential-delay`; `delay` and `attempts` (null: without end) by
    `fixed-delay`; `delay`, `maxFailures` and `interval` by `failure-rate`; `options` by strategies of
    other packages. `jitter` and `resetAfter` hold for all of them.
    """

    strategy: str = "exponential-delay"
    initial_backoff: Duration = 1.0
    max_backoff: Duration = 60.0
    multiplier: Annotated[float, Field(ge=1.0, le=100.0, strict=False)] = 2.0
    jitter: Annotated[float, Field(ge=0.0, le=1.0, strict=False)] = 0.1
    reset_after: Duration = 600.0
    delay: Duration = 1.0
    attempts: Annotated[int, Field(ge=0, le=100000)] | None = None
    max_failures: Annotated[int, Field(ge=1, le=60)] = 3
    interval: Duration = 300.0
    options: Options = {}


class Snapshots(_Part):
    """Where savepoints go and how long they are kept."""

    savepoint_dir: str | None = None
    interval: Duration | None = None
    cron: str | None = None
    max_count: Annotated[int, Field(ge=1, le=1000)] = 10
    max_age: Duration = 7 * 86400.0
    dispose_on_delete: bool = False


class Health(_Part):
    """When a job counts as started, stable or unhealthy."""

    launch_timeout: Duration = 120.0
    readiness_timeout: Duration = 300.0
    stable_after: Duration = 30.0
    max_restarts: Annotated[int, Field(ge=1)] = 64
    restart_window: Duration = 120.0
    checkpoint_stall: Duration | None = None
    rollback: bool = False


def _needed_by_kind(schema: dict[str, Any]) -> None:
    """What is required depends on the kind, which a list of required fields cannot say."""

    def kind(name: str) -> dict[str, Any]:
        return {"properties": {"kind": {"const": name}}, "required": ["kind"]}

    schema["allOf"] = [
        {"if": kind("Session"), "then": {"required": ["flinkVersion"]}},
        {"if": kind("SessionJob"), "then": {"required": ["session", "job"]}},
        {
            "if": {"not": {"properties": {"kind": {"enum": ["Session", "SessionJob"]}}, "required": ["kind"]}},
            "then": {"required": ["flinkVersion", "job"]},
        },
    ]


class JobSpec(_Part):
    """The whole desired state of an application, a session, or a job of a session.

    An application needs `job.type`, `job.uri` and `flinkVersion`, a session `flinkVersion`, a session job
    `session`, `job.type` and `job.uri`; all else has a default. `spec_kinds` says what belongs to which.
    """

    model_config = ConfigDict(json_schema_extra=_needed_by_kind)

    api_version: Literal["weir/v1"] = "weir/v1"
    kind: Literal["Application", "Session", "SessionJob"] = "Application"
    flink_version: Annotated[str, Field(pattern=r"^(\d+\.\d+(\.\d+)?)?$")] = ""
    """Empty for a session job: it is that of its session."""
    user: str | None = None
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    flink_configuration: dict[str, str] = {}
    job: Job = NO_JOB
    session: Annotated[str, Field(pattern=JOB_NAME_PATTERN, max_length=JOB_NAME_MAX)] | None = None
    job_manager: JobManager = JobManager()
    task_manager: TaskManager = TaskManager()
    placement: Placement = Placement()
    restart: Restart = Restart()
    snapshots: Snapshots = Snapshots()
    health: Health = Health()
    on_delete: OnDelete = "savepoint"
    restart_nonce: int = 0

    @property
    def is_session(self) -> bool:
        return self.kind == "Session"

    @property
    def in_session(self) -> bool:
        return self.kind == "SessionJob"

    def job_managers(self) -> int:
        """How many JobManagers it has of its own."""
        return 0 if self.in_session else self.job_manager.replicas

    def task_managers(self) -> int:
        """How many TaskManagers it has of its own: `taskManager.replicas`, or enough slots for its parallelism."""
        if self.in_session:
            return 0
        if self.task_manager.replicas is not None:
            return self.task_manager.replicas
        return math.ceil(self.job.parallelism / self.task_manager.slots)
