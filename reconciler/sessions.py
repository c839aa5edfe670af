"""What sessions and their jobs see of each other, read from the loop's memory. Pure.

A session ends a generation in two steps, and a job begins one in between only if it is seen:

    the session persists its intent to end -> no job begins a generation in it any more
      -> no job needs the generation -> the session ends it

For that both sides count what is on its way to the store as if it were there already: a job that may
have begun is one that needs the session, an intent that may be persisted is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.jobs import JobEntry
from reconciler.model.observation import SessionJob, SessionView
from reconciler.model.record import Lifecycle, Record, Role
from reconciler.model.spec import JobSpec
from reconciler.report import job_manager_url


def look(entry: JobEntry, jobs: Mapping[str, JobEntry]) -> None:
    """Bring up to date what this job or session sees of the others."""
    entry.sessions = {name: view_of(name, jobs.get(name)) for name in _named(entry)}
    entry.session_jobs = tuple(_jobs_of(entry, jobs.values())) if is_session(entry) else ()
    generation = entry.record.generation if entry.record is not None else None
    if generation is not None and generation.session is not None:
        view = entry.sessions.get(generation.session.name)
        if view is None or view.url_of(generation.session) is None:
            entry.flink, entry.unreachable_since = None, None


def related(entry: JobEntry, jobs: Mapping[str, JobEntry]) -> set[str]:
    """Who has to look again when this one has changed."""
    if is_session(entry):
        return {other.name for other in jobs.values() if entry.name in _named(other)}
    return {name for name in _named(entry) if name in jobs}


def is_session(entry: JobEntry) -> bool:
    return any(record.spec is not None and record.spec.is_session for record in _records(entry))


def view_of(name: str, entry: JobEntry | None) -> SessionView:
    """A session, as its jobs see it."""
    if entry is None or (entry.record is None and entry.quarantined is None):
        return SessionView(name, known=True, why=f"there is no session {name}: create it, or name another in the spec")
    record = entry.record
    if record is None or entry.quarantined is not None or entry.stale:
        return SessionView(name, why=f"session {name}: its record cannot be read just now")
    if record.spec is None or not record.spec.is_session:
        return SessionView(name, known=True, why=f"{name} is no session but a job of its own: name another in the spec")
    return _view(entry, record)


def _view(entry: JobEntry, record: Record) -> SessionView:
    name, generation = entry.name, record.generation
    later = entry.pending.record if entry.pending is not None else record
    deleting = any(each.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED) for each in _records(entry))
    ending = generation is not None and (
        later is None
        or later.generation is None
        or later.generation.number != generation.number
        or any(each.generation is not None and each.generation.ending is not None for each in (record, later))
    )
    seen = entry.observation()
    url = job_manager_url(record, seen)
    flink = entry.flink
    serves = flink is not None and flink.reachable and flink.error is None
    answers = url is not None and serves and entry.unreachable_since is None
    why = ""
    if record.lifecycle is Lifecycle.DELETED:
        why = f"session {name} was deleted: create it, or name another in the spec"
    elif deleting:
        why = f"session {name} is being deleted: name another in the spec"
    elif ending:
        why = f"session {name} is being upgraded"
    elif not answers:
        said = entry.status.why if entry.status is not None else "its JobManager does not answer yet"
        why = f"session {name} is not ready: {said}"
    return SessionView(
        name,
        known=seen.complete,
        uid=record.uid,
        generation=generation.number if generation is not None else None,
        flink_version=generation.spec.flink_version if generation is not None else "",
        url=url,
        ready=generation is not None and not why,
        ending=ending,
        slots=_slots(generation.spec) if generation is not None else 0,
        alive=frozenset((record.uid, task.generation) for task in record.tasks if task.role is Role.JOB_MANAGER),
        why=why or f"session {name} is not ready",
    )


def _slots(spec: JobSpec) -> int:
    return spec.task_managers() * spec.task_manager.slots


def _jobs_of(session: JobEntry, entries: Iterable[JobEntry]) -> Iterator[SessionJob]:
    uids = {record.uid for record in _records(session)}
    for entry in sorted(entries, key=lambda each: each.name):
        if entry is session:
            continue
        if entry.quarantined is not None:
            spec = entry.parsed.spec if entry.parsed is not None else None
            if spec is None or spec.session == session.name:
                yield SessionJob(entry.name, unknown=True)
            continue
        live = [record for record in _records(entry) if record.lifecycle is not Lifecycle.DELETED]
        generations = [record.generation for record in live if record.generation is not None]
        needs = {
            generation.session.generation
            for generation in generations
            if generation.session is not None and generation.session.uid in uids and generation.needs_session
        }
        declared = [entry.parsed.spec] if entry.parsed is not None and not entry.gone else []
        named = any(spec is not None and spec.session == session.name for spec in [*declared, *(r.spec for r in live)])
        if needs or named:
            yield SessionJob(entry.name, frozenset(needs), unknown=entry.stale)


def _named(entry: JobEntry) -> set[str]:
    """The sessions that a job runs in or wants to run in."""
    found = set()
    for record in _records(entry):
        if record.spec is not None and record.spec.session is not None:
            found.add(record.spec.session)
        if record.stable_spec is not None and record.stable_spec.session is not None:
            found.add(record.stable_spec.session)
        if record.generation is not None and record.generation.session is not None:
            found.add(record.generation.session.name)
    if entry.parsed is not None and entry.parsed.spec is not None and entry.parsed.spec.session is not None:
        found.add(entry.parsed.spec.session)
    return found


def _records(entry: JobEntry) -> list[Record]:
    """What is persisted, and what may be by now."""
    pending = entry.pending.record if entry.pending is not None else None
    return [record for record in (entry.record, pending) if record is not None]
