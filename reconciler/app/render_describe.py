"""The page of `weir describe`: one sentence first, then what explains it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from reconciler.app import render_views
from reconciler.app.render_output import ago, flat, heading, parse_time, write_table
from reconciler.app.render_views import JobView
from reconciler.diff import FieldChange, changes
from reconciler.model.events import StoredRecord, UnreadableRecord
from reconciler.model.record import Record
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import check_job_name
from reconciler.model.status import JobEvent, LeaderInfo, TaskStatus

SNAPSHOTS_SHOWN = 5
_LABEL = 14


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was read for one page."""

    job: JobView
    stored: StoredRecord | UnreadableRecord | None
    events: Sequence[JobEvent]
    leader: LeaderInfo | None
    now: float

    @property
    def record(self) -> Record | None:
        return self.stored.record if isinstance(self.stored, StoredRecord) else None

    @property
    def running(self) -> JobSpec | None:
        """The spec that the current generation runs."""
        generation = self.record.generation if self.record else None
        return generation.spec if generation else None

    @property
    def differences(self) -> tuple[FieldChange, ...]:
        """From what runs to what is wanted."""
        if self.running is None or self.job.spec is None:
            return ()
        return changes(self.running, self.job.spec)


def sentence(facts: Facts) -> str:
    """What the job waits for, or how it is."""
    job = facts.job
    lifecycle = job.status.lifecycle if job.status and not job.earlier_life else "not taken up yet"
    said = f"{job.name} is {lifecycle}: {render_views.why(job)}"
    if facts.leader is None:
        return f"No replica leads, so nothing is acted on. Last known: {said}"
    return said


def write(facts: Facts) -> None:
    """Print the page."""
    click.secho(flat(sentence(facts)), bold=True)
    _section("Desired state", _desired(facts))
    _section("Running", _running(facts))
    _tasks(facts)
    _snapshots(facts)
    _events(facts)


def as_json(facts: Facts) -> dict[str, Any]:
    """`weir describe -o json`."""
    record = facts.record
    return {
        **render_views.as_json(facts.job),
        "sentence": sentence(facts),
        "running": facts.running.model_dump(mode="json", by_alias=True) if facts.running else None,
        "differences": [
            {"path": each.path, "running": each.before, "desired": each.after, "class": each.kind.name}
            for each in facts.differences
        ],
        "snapshots": [
            {
                "kind": each.kind.value, "generation": each.generation, "checkpointId": each.checkpoint_id,
                "path": each.path, "time": _time(each.time), "reason": each.reason,
            }
            for each in (record.snapshots if record else ())
        ],
        "recordError": facts.stored.error if isinstance(facts.stored, UnreadableRecord) else None,
        "events": [event.model_dump(mode="json", by_alias=True) for event in facts.events],
        "leader": facts.leader.model_dump(mode="json", by_alias=True) if facts.leader else None,
    }  # fmt: skip


def _section(title: str, lines: Iterator[tuple[str, str]]) -> None:
    found = [(label, text) for label, text in lines if text]
    if not found:
        return
    heading(title)
    for label, text in found:
        click.echo(f"  {label.ljust(_LABEL)} {flat(text)}")


def _desired(facts: Facts) -> Iterator[tuple[str, str]]:
    job = facts.job
    if job.raw is None:
        yield "version", "none: it was deleted"
        return
    before = job.status is not None and job.status.generation > 0
    refused = "refused; the last valid version goes on" if before else "refused; nothing runs yet"
    said = {True: "accepted", False: refused, None: "not taken up yet"}[job.accepted]
    yield "version", f"{job.raw.ref.version}, {said}"
    if job.accepted is False and job.status and not job.errors:
        yield "error", job.status.error or ""
    for error in job.errors:
        yield "error", f"{error.path}: {error.message}" if error.path else error.message
        yield "hint", error.hint or ""
    if job.errors:
        if any(not error.path for error in check_job_name(job.name)):
            yield "to repair", f"delete it: weir delete {shlex.quote(job.name)}; and write it under another name"
        else:
            yield "to repair", f"correct it and write it again: weir apply -f FILE --name {job.name}"
    if job.spec is not None:
        yield "wants", _summary(job.spec)
    for each in facts.differences:
        yield "differs", f"{each.path}: runs {_value(each.before)}, wanted {_value(each.after)} ({each.kind.name})"


def _summary(spec: JobSpec) -> str:
    if spec.is_session:
        return f"session, Flink {spec.flink_version}, TaskManagers {spec.task_managers()}"
    parts = [
        spec.job.state,
        f"in session {spec.session}" if spec.in_session else f"Flink {spec.flink_version}",
        f"{spec.job.type} {spec.job.uri}",
        f"parallelism {spec.job.parallelism}",
        f"upgrade by {spec.job.upgrade_mode}",
    ]
    return ", ".join(parts)


def _running(facts: Facts) -> Iterator[tuple[str, str]]:
    status, record = facts.job.status, facts.record
    if isinstance(facts.stored, UnreadableRecord):
        yield "record", f"cannot be read, so the job is left alone: {facts.stored.error}"
    if status is None or facts.job.earlier_life:
        return
    generation = record.generation if record else None
    if status.generation:
        since = f", started {_time(generation.started_at)}" if generation else ""
        yield "generation", f"{status.generation}{since}"
    if generation is not None:
        same = facts.job.spec is not None and not facts.differences
        yield "runs", "what is desired" if same else _summary(generation.spec)
        if generation.ending is not None:
            ending = generation.ending
            yield "being ended", f"{ending.reason.value} by {ending.mode.value}, attempt {ending.attempt}"
            yield "last error", ending.error or ""
    yield "job", f"{status.job_state or 'state unknown'}, id {status.job_id}" if status.job_id else ""
    yield "JobManager", status.job_manager_url or ""
    yield "restored from", status.restored_from or ""
    if record is not None and record.generation is None and record.resume is not None:
        yield "resumes from", record.resume.path
    reason = f", last because {record.restarts.reason}" if record and record.restarts.reason else ""
    yield "restarts", f"{status.restarts}{reason}"
    if record is not None and record.blocked is not None:
        yield "blocked", f"{record.blocked}: {record.blocked_why}"
    at = parse_time(status.time)
    age = f" ({ago(facts.now - at)} ago)" if at is not None else ""
    yield "status of", f"{status.time}{age}, epoch {status.leader_epoch}"


def _tasks(facts: Facts) -> None:
    status = facts.job.status
    if status is None or not status.task_list:
        return
    heading("Tasks")
    ordered = sorted(status.task_list, key=lambda task: (task.hostname or "~", task.role, task.id))
    write_table(("AGENT", "ROLE", "STATE", "TASK"), [_task(task) for task in ordered], indent=2)


def _task(task: TaskStatus) -> list[str]:
    role = "JobManager" if task.role == "jm" else "TaskManager"
    return [task.hostname or task.agent or "", role, task.state.removeprefix("TASK_"), task.id]


def _snapshots(facts: Facts) -> None:
    record = facts.record
    if record is None or not record.snapshots:
        return
    heading("Snapshots")
    newest = sorted(record.snapshots, key=lambda snapshot: snapshot.order, reverse=True)[:SNAPSHOTS_SHOWN]
    rows = [
        [
            each.kind.value,
            str(each.generation),
            str(each.checkpoint_id),
            _time(each.time),
            each.reason.lower(),
            each.path,
        ]
        for each in newest
    ]
    write_table(("KIND", "GEN", "CHECKPOINT", "TIME", "REASON", "PATH"), rows, indent=2)


def _events(facts: Facts) -> None:
    if not facts.events:
        return
    heading("Events")
    rows = [[event.time, "!" if event.warning else " ", event.code, _message(event)] for event in facts.events]
    for row in rows:
        click.echo(f"  {row[0]} {row[1]} {row[2].ljust(max(len(each[2]) for each in rows))}  {row[3]}")


def _message(event: JobEvent) -> str:
    times = f" ({event.count} times)" if event.count > 1 else ""
    return flat(event.message) + times


def _value(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else "-"
