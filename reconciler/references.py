"""Which of a job's savepoints somebody else names. Pure, and wary: what cannot be read may name any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.jobs import JobEntry
from reconciler.model.record import Lifecycle, Record


def referenced(entry: JobEntry, jobs: Mapping[str, JobEntry]) -> frozenset[str] | None:
    """Paths of the snapshots of a job that is being deleted which must stay; None: it is not being deleted.

    The name of a savepoint's directory is random, so it is looked for as text: in desired states whether
    they are valid or not, in whatever form a path is written there. A node under the job's own name
    counts when it is not the one that is being deleted (fault 51).
    """
    record = entry.record
    if record is None or record.lifecycle is not Lifecycle.DELETING:
        return None
    paths = frozenset(snapshot.path for snapshot in record.snapshots)
    if any(other.quarantined is not None for other in jobs.values()):
        return paths
    said = [*_desired(record, jobs.values()), *_remembered(entry, jobs)]
    return frozenset(path for path in paths if any(_name(path) in text for text in said))


def _desired(record: Record, entries: Iterable[JobEntry]) -> Iterator[bytes]:
    for other in entries:
        if other.raw is not None and (other.name != record.name or other.raw.ref.czxid != record.seen.czxid):
            yield other.raw.data


def _remembered(entry: JobEntry, jobs: Mapping[str, JobEntry]) -> Iterator[bytes]:
    for other in jobs.values():
        if other is not entry and other.record is not None:
            yield " ".join(_paths(other.record)).encode()


def _paths(record: Record) -> Iterator[str]:
    generation = record.generation
    named = [*record.snapshots, record.resume]
    if generation is not None:
        named += [generation.restore, generation.ending.restore if generation.ending is not None else None]
    yield from (snapshot.path for snapshot in named if snapshot is not None)
    for spec in (record.spec, generation.spec if generation is not None else None):
        if spec is not None and spec.job.initial_savepoint_path is not None:
            yield spec.job.initial_savepoint_path


def _name(path: str) -> bytes:
    return path.rstrip("/").rpartition("/")[2].encode()
