"""Jobs that go round: created, suspended, resumed, upgraded, deleted, and created again under their names."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from kazoo.client import KazooClient

from reconciler.app.demo.rows import JOB_FILE
from reconciler.app.demo.story import DemoFailed
from reconciler.model.record import Lifecycle
from reconciler.model.status import Status

STUCK_S = 150.0
"""A step that takes longer fails the run; a take-over in between takes 10 s."""
STEPS = ("create", "suspend", "resume", "upgrade", "delete")


def spec(state: str, nonce: int) -> dict[str, Any]:
    """No checkpoints: a stand-in has none. Savepoints are real directories, and kept to two."""
    return {
        "flinkVersion": "2.2",
        "job": {"type": "python", "uri": JOB_FILE.as_uri(), "state": state, "upgradeMode": "savepoint"},
        "jobManager": {"cpus": 0.1},
        "taskManager": {"cpus": 0.1, "slots": 1},
        "snapshots": {"maxCount": 2, "disposeOnDelete": True},
        "health": {"stableAfter": "100ms"},
        "onDelete": "savepoint",
        "restartNonce": nonce,
    }


@dataclass
class Job:
    """One name, and the step that it is in."""

    path: str
    step: int = -1
    since: float = 0.0
    rounds: int = 0
    observed: tuple[int, int] = (0, 0)
    """Czxid and version that the status has to speak of."""


class Rounds:
    """All jobs, each in a step of its own."""

    def __init__(self, users: KazooClient, root: str, jobs: int) -> None:
        self._users = users
        self.jobs = {f"job-{number:02d}": Job(f"{root}/jobs/job-{number:02d}") for number in range(1, jobs + 1)}

    @property
    def done(self) -> int:
        """Whole cycles of all jobs together."""
        return sum(job.rounds for job in self.jobs.values())

    def go_on(self, statuses: dict[str, Status]) -> None:
        """Take the next step with every job whose last one is over. Raises DemoFailed for one that is stuck."""
        now = time.monotonic()
        for name, job in self.jobs.items():
            status = statuses.get(name)
            if job.step < 0 or self._over(job, status):
                self._next(job)
            elif now - job.since > STUCK_S:
                why = f"{status.lifecycle}: {status.why}" if status is not None else "it has no status"
                raise DemoFailed(f"{name}: {STEPS[job.step]} did not end within {STUCK_S:.0f} s; {why}")

    def _over(self, job: Job, status: Status | None) -> bool:
        if status is None:
            return False
        if STEPS[job.step] == "delete":
            return status.lifecycle == Lifecycle.DELETED
        seen = status.observed
        wanted = Lifecycle.SUSPENDED if STEPS[job.step] == "suspend" else Lifecycle.STABLE
        return status.lifecycle == wanted and seen is not None and (seen.czxid, seen.version) == job.observed

    def _next(self, job: Job) -> None:
        if job.step >= 0 and STEPS[job.step] == "delete":
            job.rounds += 1
        job.step, job.since = (job.step + 1) % len(STEPS), time.monotonic()
        kind = STEPS[job.step]
        if kind == "delete":
            self._users.delete(job.path)
            return
        wanted = spec("suspended" if kind == "suspend" else "running", job.rounds + (kind == "upgrade"))
        data = json.dumps(wanted).encode()
        if kind == "create":
            _, stat = self._users.create(job.path, data, include_data=True)
        else:
            stat = self._users.set(job.path, data)
        job.observed = (stat.czxid, stat.version)
