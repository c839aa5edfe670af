"""The upgrade matrix: what an upgrade does in every combination of what can be the case.

`python -m tests.unit.decide.matrix` prints the table of docs/upgrades.md as `decide` has it now; the
test compares that table, cell by cell, with what `decide` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from reconciler.model.decision import CancelJob, FindRestorePoint, KillTask, StopWithSavepoint
from reconciler.model.observation import JobState, TaskState
from reconciler.model.record import Role, SnapshotKind
from tests.unit.decide.scenario import Scenario, effects, spec

MODES = ("stateless", "savepoint", "last-state")
JOBS = ("running", "restarting", "never ran", "cancelling", "failed", "canceled", "finished")
MANAGERS = ("answers", "silent", "dead")
METADATA = ("present", "absent")
CHECKPOINTS = ("found", "lost", "none")
HEADER = ("upgradeMode", "job", "JobManager", "HA metadata", "checkpoint", "ended by", "starts from")


@dataclass(frozen=True)
class Cell:
    """One combination."""

    mode: str
    job: str
    manager: str
    metadata: str
    checkpoint: str

    def possible(self) -> bool:
        """Whether such a moment exists: HA metadata points to a checkpoint, and a terminal state is only
        known from a JobManager that answers and has removed its metadata."""
        terminal = self.job in ("failed", "canceled", "finished")
        if terminal and (self.manager != "answers" or self.metadata == "present"):
            return False
        if self.job == "cancelling" and self.manager != "answers":
            return False
        if self.job in ("never ran", "finished") and self.checkpoint != "none":
            return False
        return not (self.metadata == "present" and self.checkpoint != "found")

    def row(self) -> tuple[str, ...]:
        return (self.mode, self.job, self.manager, self.metadata, self.checkpoint, *outcome(self))


def cells() -> Iterator[Cell]:
    for values in product(MODES, JOBS, MANAGERS, METADATA, CHECKPOINTS):
        cell = Cell(*values)
        if cell.possible():
            yield cell


def outcome(cell: Cell) -> tuple[str, str]:
    """How the generation is ended, and what the next one starts from."""
    job = _before(cell)
    job.edit(spec(restartNonce=1, job={"upgradeMode": cell.mode}))
    ended_by: list[str] = []
    for _ in range(40):
        decision = job.step()
        if job.generation.number > 1:
            restore = job.generation.restore
            return _how(ended_by), "nothing" if restore is None else _kind(restore.kind)
        if job.record is not None and job.record.blocked is not None:
            return _how(ended_by), f"{job.record.blocked}"
        _answer(cell, job, decision, ended_by)
    return _how(ended_by), "waits"


def _how(ended_by: list[str]) -> str:
    return " then ".join(dict.fromkeys(ended_by)) or "nothing to end"


def _kind(kind: SnapshotKind) -> str:
    return f"the newest {kind.value}"


def _before(cell: Cell) -> Scenario:
    job = Scenario(spec(job={"upgradeMode": cell.mode}))
    job.settle()
    job.place()
    job.run_tasks()
    if cell.job != "never ran":
        job.answer(JobState.RUNNING, completed_checkpoints=int(cell.checkpoint != "none"))
        job.settle()
    states = {
        "running": JobState.RUNNING, "restarting": JobState.RESTARTING, "never ran": None,
        "cancelling": JobState.CANCELLING, "failed": JobState.FAILED, "canceled": JobState.CANCELED,
        "finished": JobState.FINISHED,
    }  # fmt: skip
    if cell.manager == "answers":
        job.answer(states[cell.job])
    elif cell.manager == "silent":
        job.silent()
    else:
        job.flink = None
        job.mesos(job.of(Role.JOB_MANAGER)[0], TaskState.FAILED)
    return job


def _answer(cell: Cell, job: Scenario, decision: Any, ended_by: list[str]) -> None:
    """The world as the cell describes it reacts to what was decided."""
    if effects(decision, FindRestorePoint):
        known = cell.checkpoint == "found"
        job.found(
            ha_metadata=cell.metadata == "present",
            checkpoint_path="file:///srv/chk-9" if known else None,
            checkpoint_id=9 if known else None,
        )
    elif effects(decision, StopWithSavepoint):
        ended_by.append("stop with savepoint")
        job.stopped()
    elif effects(decision, CancelJob):
        ended_by.append("cancel")
        job.answer(JobState.CANCELED)
    elif effects(decision, KillTask):
        ended_by.append("kill")
        job.bury_killed()
    else:
        job.now += 30
        if cell.manager == "answers" and job.flink is not None and job.flink.job_state is not None:
            state = JobState.CANCELED if job.flink.job_state is JobState.CANCELLING else job.flink.job_state
            job.answer(state)
        elif cell.manager == "answers" and job.flink is not None:
            job.answer(None)


def table() -> str:
    """The whole matrix in Markdown."""
    rows = [HEADER, tuple("---" for _ in HEADER), *(cell.row() for cell in cells())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table())
