"""Series about jobs, tasks and offers, made from the leader's view when somebody scrapes.

A follower has none of them: it holds nothing about jobs (fault 4), and two replicas that told of the
same job would be added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reconciler.model.record import Lifecycle, Record, SnapshotKind
from reconciler.view import JobSnapshot, LeaderView

if TYPE_CHECKING:
    from reconciler.app.monitoring.monitor import Published

JOBS_SHOWN = 2000
"""Jobs with series of their own, in the order of their names; the rest is in the totals only."""


class JobCollector(Collector):
    """Reads what `published` answers; None: no series."""

    def __init__(self, published: Callable[[], Published | None]) -> None:
        self._published = published

    def describe(self) -> Iterable[Metric]:
        return _families().values()

    def collect(self) -> Iterator[Metric]:
        published = self._published()
        families = _families()
        if published is not None:
            view = published.view
            _totals(families, view)
            for name in sorted(view.jobs)[:JOBS_SHOWN]:
                _job(families, view.jobs[name], view.at, published.unreconciled_since.get(name))
        yield from families.values()


_GAUGES = {
    "weir_jobs": ("Jobs by lifecycle", ["lifecycle"]),
    "weir_jobs_not_shown": ("Jobs beyond the number that has series of its own", []),
    "weir_job_lifecycle": ("1 for the lifecycle that the job is in", ["job", "lifecycle"]),
    "weir_job_unreconciled_seconds": ("For how long the job has not been as desired; 0 when it is", ["job"]),
    "weir_job_accepted": ("0 while the newest desired state is refused", ["job"]),
    "weir_job_blocked": ("1 while the job waits for a person, by reason code", ["job", "reason"]),
    "weir_job_generation": ("Number of the current generation", ["job"]),
    "weir_job_parallelism": ("Parallelism that the current generation is to have", ["job"]),
    "weir_job_tasks": ("Tasks of the current generation by role and state", ["job", "role", "state"]),
    "weir_job_backoff_seconds": ("How long the next start is still held back by the restart strategy", ["job"]),
    "weir_job_savepoint_age_seconds": ("Age of the newest savepoint", ["job"]),
    "weir_job_checkpoint_age_seconds": ("Age of the latest completed checkpoint", ["job"]),
    "weir_job_savepoints": ("Savepoints that are kept", ["job"]),
    "weir_job_jobmanager_reachable": ("0 while the JobManager does not answer", ["job"]),
    "weir_offers_open": ("Offers at hand", []),
    "weir_offers_open_cpus": ("CPUs in them", []),
    "weir_offers_open_memory_bytes": ("Memory in them", []),
}
_COUNTERS = {
    "weir_job_restarts": ("Failures that the restart strategy was asked about", ["job"]),
    "weir_job_flink_restarts": ("Restarts by Flink itself, inside the running JobManager", ["job"]),
    "weir_job_completed_checkpoints": ("Checkpoints that the running JobManager has completed", ["job"]),
}


def _families() -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
    found: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
        name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in _GAUGES.items()
    }
    for name, (text, labels) in _COUNTERS.items():
        found[name] = CounterMetricFamily(name, text, labels=labels)
    return found


Families = dict[str, GaugeMetricFamily | CounterMetricFamily]


def _totals(families: Families, view: LeaderView) -> None:
    lifecycles = Counter(job.record.lifecycle.value if job.record else "NONE" for job in view.jobs.values())
    for lifecycle in (*(each.value for each in Lifecycle), "NONE"):
        families["weir_jobs"].add_metric([lifecycle], lifecycles[lifecycle])
    families["weir_jobs_not_shown"].add_metric([], max(len(view.jobs) - JOBS_SHOWN, 0))
    offers = [offer for offer, _ in view.offers]
    families["weir_offers_open"].add_metric([], len(offers))
    families["weir_offers_open_cpus"].add_metric([], sum(offer.cpus for offer in offers))
    families["weir_offers_open_memory_bytes"].add_metric([], sum(offer.mem_mb for offer in offers) * (1 << 20))


def _job(families: Families, job: JobSnapshot, now: float, since: float | None) -> None:
    name, record = job.name, job.record
    families["weir_job_unreconciled_seconds"].add_metric([name], 0.0 if since is None else max(now - since, 0.0))
    refused = job.parsed is not None and job.parsed.error is not None
    families["weir_job_accepted"].add_metric([name], 0 if refused else 1)
    if job.quarantined is not None:
        families["weir_job_blocked"].add_metric([name, "RECORD_UNREADABLE"], 1)
    if record is None:
        return
    families["weir_job_lifecycle"].add_metric([name, record.lifecycle.value], 1)
    if record.blocked is not None:
        families["weir_job_blocked"].add_metric([name, record.blocked], 1)
    families["weir_job_restarts"].add_metric([name], record.restarts.total)
    families["weir_job_backoff_seconds"].add_metric([name], _back_off(record, now))
    _snapshots(families, job, record, now)
    generation = record.generation
    if generation is None:
        return
    families["weir_job_generation"].add_metric([name], generation.number)
    if not generation.spec.is_session:
        families["weir_job_parallelism"].add_metric([name], generation.spec.job.parallelism)
    counts: Counter[tuple[str, str]] = Counter()
    for task in record.tasks:
        seen = job.tasks.get(task.task_id) if task.task_id else None
        state = "wanted" if not task.placed else seen.state.value.removeprefix("TASK_").lower() if seen else "placed"
        counts["jobmanager" if task.role.value == "jm" else "taskmanager", state] += 1
    for (role, state), count in sorted(counts.items()):
        families["weir_job_tasks"].add_metric([name, role, state], count)
    if job.flink is not None:
        families["weir_job_jobmanager_reachable"].add_metric([name], job.unreachable_since is None)
        families["weir_job_flink_restarts"].add_metric([name], job.flink.flink_restarts)
        families["weir_job_completed_checkpoints"].add_metric([name], job.flink.completed_checkpoints)


def _back_off(record: Record, now: float) -> float:
    waiting = [task.not_before for task in record.tasks if not task.placed]
    return max(max(waiting, default=now) - now, 0.0)


def _snapshots(families: Families, job: JobSnapshot, record: Record, now: float) -> None:
    saved = [snapshot for snapshot in record.snapshots if snapshot.kind is SnapshotKind.SAVEPOINT]
    families["weir_job_savepoints"].add_metric([job.name], len(saved))
    if saved:
        newest = max(saved, key=lambda snapshot: snapshot.order)
        families["weir_job_savepoint_age_seconds"].add_metric([job.name], max(now - newest.time, 0.0))
    if job.flink is not None and job.flink.latest_checkpoint_at is not None:
        age = max(now - job.flink.latest_checkpoint_at, 0.0)
        families["weir_job_checkpoint_age_seconds"].add_metric([job.name], age)
