"""The one stateful job of these suites, its input and its output, and what Flink and Mesos recorded of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from integration.containers import WeirStack, cluster
from reconciler.app.demo.rows import JOB_FILE, Comparison, Feeder, Sink, compare
from reconciler.model.status import Status, TaskStatus

NAME = "orders"
WAIT_S = 240.0


@dataclass(frozen=True)
class Footprint:
    """What Flink and Mesos themselves recorded of a running job: equal footprints mean that nothing was restarted."""

    job_id: str
    started: int
    restarts: int
    restarting_at: int
    tasks: frozenset[str]


class Job:
    """One JobManager and two TaskManagers."""

    def __init__(self, weir: WeirStack) -> None:
        self.weir = weir
        self.feeder = Feeder(weir.shared / "data", batch=10)
        self.sink = Sink(self.feeder.output)
        self.spec: dict[str, Any] = {
            "flinkVersion": "2.2",
            "flinkConfiguration": {"execution.checkpointing.interval": "1s"},
            "job": {
                "type": "python",
                "uri": weir.publish(JOB_FILE),
                "args": ["--input", str(self.feeder.input), "--output", str(self.feeder.output)],
                "parallelism": 2,
            },
            "taskManager": {"cpus": 0.5, "slots": 1},
            "health": {"stableAfter": "2s", "readinessTimeout": "10m"},
        }

    def status(self) -> Status:
        """The status; a missing one fails the test."""
        status = self.weir.status(NAME)
        assert status is not None, f"{NAME} has no status"
        return status

    def running(self) -> list[TaskStatus]:
        """Tasks that run, as Weir sees them."""
        return [task for task in self.status().task_list if task.state == "TASK_RUNNING"]

    def agent_of(self, role: str) -> str:
        """An agent on which a task of this role runs, and none of the other role if that is possible."""
        hosts = {task.hostname or "" for task in self.running() if task.role == role}
        others = {task.hostname or "" for task in self.running() if task.role != role}
        return min(hosts - others or hosts)

    def footprint(self) -> Footprint | None:
        """None while the job does not run as wanted, or somebody does not answer."""
        status, url = self.weir.status(NAME), self.weir.master_url_now()
        if status is None or status.job_state != "RUNNING" or status.job_manager_url is None or url is None:
            return None
        job = cluster.ask(f"{status.job_manager_url}/jobs/{status.job_id}")
        metrics = cluster.ask(f"{status.job_manager_url}/jobs/{status.job_id}/metrics?get=numRestarts")
        tasks = frozenset(task for task, state in cluster.tasks(url).items() if state == "TASK_RUNNING")
        if not job or not metrics or job["state"] != "RUNNING" or len(tasks) != 3:
            return None
        if any(vertex["status"] != "RUNNING" for vertex in job["vertices"]):
            return None
        restarts = int(metrics[0]["value"])
        return Footprint(job["jid"], job["start-time"], restarts, job["timestamps"]["RESTARTING"], tasks)

    def runs(self) -> Footprint:
        """Waits until everything that is wanted runs, as Flink and Mesos see it."""
        found: Footprint = self.weir.wait_until("JobManager and 2 TaskManagers run", self.footprint, WAIT_S)
        return found

    def progresses(self) -> None:
        """Rows that are fed from now on arrive."""
        wanted = self.feeder.evens + 1
        self.weir.wait_until(f"{wanted} rows are in the sink", lambda: self.sink.rows() >= wanted, WAIT_S)

    def compare(self) -> Comparison:
        """Input and output, row by row."""
        return compare(self.feeder.input, self.feeder.output)
