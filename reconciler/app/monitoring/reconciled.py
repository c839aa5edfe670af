"""Whether a job is as desired, and if not, since when: the one indicator to alert on. Pure."""

from __future__ import annotations

from reconciler.model.record import Generation, Lifecycle, Record
from reconciler.view import JobSnapshot

_AS_DESIRED = frozenset({Lifecycle.STABLE, Lifecycle.FINISHED, Lifecycle.SUSPENDED, Lifecycle.DELETED})


def reconciled(job: JobSnapshot) -> bool:
    """True when what runs is what the newest desired state says, and nothing is going on."""
    record = job.record
    if record is None:
        return job.raw is None and job.quarantined is None
    if job.quarantined is not None or job.held is not None or record.lifecycle not in _AS_DESIRED:
        return False
    if job.gone or job.raw is None:
        return record.lifecycle is Lifecycle.DELETED
    refused = job.parsed is not None and job.parsed.error is not None
    return not refused and record.seen == job.raw.ref


def trouble_since(job: JobSnapshot, now: float) -> float:
    """Since when a job that is not as desired has been so, as far as its record tells a new leader."""
    record = job.record
    if record is None or record.generation is None:
        return now
    return min(_begun(record, record.generation, now), now)


def _begun(record: Record, generation: Generation, now: float) -> float:
    if generation.ending is not None:
        return generation.ending.since
    failed_at = record.restarts.last_failure_at
    if failed_at is not None and failed_at > generation.started_at:
        return failed_at
    return now if record.lifecycle is Lifecycle.STABLE else generation.started_at
