"""How often anything of a job was started, from the records that Flink and Mesos keep themselves.

Mesos: every agent writes a task down before it starts it, and keeps that for an hour after its end; so the files of
the agents name every task that ever ran, also across failovers of masters, which forget. Flink: every change of a job's
state is a line in the log of the JobManager that made it, in the task's sandbox. Neither is sampled: nothing is missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.model.ids import TaskName, parse_task_id

_SWITCH = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) .* - Job \S+ \([0-9a-f]{32}\) switched from state (\w+) to (\w+)"
)


@dataclass(frozen=True, order=True)
class Launched:
    """A task that an agent started; `time` in seconds since the epoch."""

    time: float
    task_id: str

    @property
    def name(self) -> TaskName:
        found = parse_task_id(self.task_id)
        assert found is not None, self.task_id
        return found


@dataclass(frozen=True, order=True)
class Switched:
    """A change of a Flink job's state, as its JobManager logged it."""

    time: float
    task_id: str
    before: str
    after: str


@dataclass(frozen=True)
class Evidence:
    """All of it up to one moment."""

    launched: frozenset[Launched]
    switched: frozenset[Switched]

    @property
    def starts(self) -> frozenset[Switched]:
        """Each time that the vertices of the job were started: at its submission, and at every restart since."""
        return frozenset(switch for switch in self.switched if switch.after == "RUNNING")

    def since(self, earlier: Evidence) -> Evidence:
        """What was added."""
        return Evidence(self.launched - earlier.launched, self.switched - earlier.switched)

    def __str__(self) -> str:
        lines = [f"launched {item.task_id} at {_clock(item.time)}" for item in sorted(self.launched)]
        lines += [
            f"{item.task_id}: {item.before} -> {item.after} at {_clock(item.time)}" for item in sorted(self.switched)
        ]
        return "; ".join(lines) or "nothing"


def read(agents: Path, job: str) -> Evidence:
    """Everything that is recorded of a job below the agents' directories."""
    return Evidence(frozenset(_launched(agents, job)), frozenset(_switched(agents, job)))


def _launched(agents: Path, job: str) -> Iterator[Launched]:
    seen = set()
    pattern = f"*/work/meta/slaves/*/frameworks/*/executors/*/runs/*/tasks/{job}.*/task.info"
    for path in agents.glob(pattern):
        task_id = path.parent.name
        if task_id not in seen and parse_task_id(task_id) is not None:
            seen.add(task_id)
            yield Launched(path.stat().st_mtime, task_id)


def _switched(agents: Path, job: str) -> Iterator[Switched]:
    for sandbox in agents.glob(f"*/work/slaves/*/frameworks/*/executors/{job}.*.jm.*/runs/*"):
        if sandbox.is_symlink():
            continue
        task_id = sandbox.parents[1].name
        for log in sorted(sandbox.glob("stdout*")):
            for line in log.read_text(errors="replace").splitlines():
                if match := _SWITCH.match(line):
                    when = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
                    yield Switched(when, task_id, match[2], match[3])


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S.%f")[:-3]
