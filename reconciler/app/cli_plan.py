"""`weir plan`: what writing a file would do, before it is written, decided by the operator's own `decide`."""

from __future__ import annotations

import json
from typing import Any

import click

from reconciler.app import render_output
from reconciler.app.cli_apply import Document, accepted, files_option, name_option, read_all, spec_of
from reconciler.app.cli_errors import NO_ZOOKEEPER, USAGE, Problem, explain
from reconciler.app.cli_jobs import NOBODY_LEADS
from reconciler.app.cli_services import JobStore, Services, connected, note
from reconciler.decide import decide
from reconciler.diff import FieldChange, changes, diff_class
from reconciler.model.decision import Decision, Desired, EmitEvent
from reconciler.model.events import RawSpec, StoredRecord
from reconciler.model.observation import FlinkObservation, JobState, Observation, TaskObservation, TaskState
from reconciler.model.policy import Policy
from reconciler.model.record import Lifecycle, Record, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import SpecInvalid, parse_spec
from reconciler.model.status import Status

NEW = "new"
NOTHING, CHANGES, WRONG = 0, 1, 2
"""The exit codes of `plan`."""


@click.command()
@files_option(required=False)
@name_option
@click.option("--delete", "deleted", metavar="JOB", help="Plan the deletion of this job instead.")
@render_output.output_option()
@connected
@click.pass_context
def plan(
    ctx: click.Context, services: Services, files: tuple[str, ...], name: str | None, deleted: str | None, output: str
) -> None:
    """Print what `weir apply -f FILE` would do, and why; nothing is written.

    The decision is that of the shipped operator on the job's record and its last status. Only the first
    step is decided: what follows depends on what Mesos and Flink answer. Exit code 0: nothing would
    change; 1: something would; 2: it cannot be told, or a file is refused.

    With -o json: an object; with several files, an array of them.
    """
    try:
        documents = _plans(services, files, name, deleted)
    except Exception as error:  # whatever it is, exit code 1 would say that something would change
        problem = error if isinstance(error, Problem) else explain(error)
        raise Problem(problem.lines, NO_ZOOKEEPER if problem.code == NO_ZOOKEEPER else WRONG) from error
    if output == "table":
        for document in documents:
            _tell(document)
    else:
        render_output.write_data(documents if len(files) > 1 else documents[0], output)
    ctx.exit(NOTHING if all(document["result"] == "nothing" for document in documents) else CHANGES)


def _plans(services: Services, files: tuple[str, ...], name: str | None, deleted: str | None) -> list[dict[str, Any]]:
    if bool(files) == (deleted is not None):
        raise Problem("name files with -f FILE, or a job with --delete JOB", USAGE)
    wanted = read_all(files, name)
    with services.store() as store:
        found = [_plan(services, store, each.name, each) for each in wanted]
        if deleted is not None:
            found.append(_plan(services, store, deleted, None))
        if store.load_leader() is None:
            note(NOBODY_LEADS)
    return found


def _plan(services: Services, store: JobStore, job: str, wanted: Document | None) -> dict[str, Any]:
    raw, status, stored = store.load_job(job), store.load_status(job), store.load_record(job)
    if stored is not None and not isinstance(stored, StoredRecord):
        raise Problem(f'the record of "{job}" cannot be read: {stored.error}', USAGE)
    record = stored.record if stored is not None else None
    if wanted is None and raw is None:
        raise Problem(f'there is no job "{job}" to delete; see: weir get', USAGE)
    spec = wanted.keeping_nonces(spec_of(raw) or accepted(store, raw)).spec if wanted is not None else None
    decision = _decide(job, raw, spec, record, status, services.now())
    return _document(job, raw, spec, record, decision)


def _decide(
    name: str, raw: RawSpec | None, spec: JobSpec | None, record: Record | None, status: Status | None, now: float
) -> Decision:
    """The shipped decision, on what the status last said of tasks and job."""
    ref = SpecRef(raw.ref.czxid, raw.ref.version + 1) if raw is not None else SpecRef(1 << 62, 0)
    desired = Desired(name, present=spec is not None, ref=ref if spec is not None else None, spec=spec)
    return decide(desired, record, observation(record, status, now), now, Policy(storage="file:///storage"))


def observation(record: Record | None, status: Status | None, now: float) -> Observation:
    """What the leader saw when it wrote the status, as far as that says it."""
    if record is None or status is None:
        return Observation(since=now, complete=True)
    tasks = {}
    for task in status.task_list:
        word = task.state.split(",")[0]
        if word in TaskState.__members__.values():
            tasks[task.id] = TaskObservation(TaskState(word), now, task.agent)
    generation = record.generation
    flink = None
    if generation is not None and status.job_id == generation.job_id and status.job_state is not None:
        flink = FlinkObservation(
            now,
            True,
            generation.job_id,
            JobState(status.job_state),
            vertices_running=generation.running_since is not None,
            parallelism=status.parallelism,
            task_managers=frozenset(tasks),
        )
    return Observation(since=now, complete=True, tasks=tasks, flink=flink)


def _document(
    name: str, raw: RawSpec | None, spec: JobSpec | None, record: Record | None, decision: Decision
) -> dict[str, Any]:
    before = _last_valid(raw, record)
    changed = changes(before, spec) if before is not None and spec is not None else ()
    first = [effect for effect in decision.effects if isinstance(effect, EmitEvent)]
    fresh = record is None or record.lifecycle is Lifecycle.DELETED
    result = "delete" if spec is None else "create" if fresh else _result(record, spec, changed)
    return {
        "name": name,
        "result": result,
        "version": raw.ref.version if raw is not None else NEW,
        "changes": [
            {"path": each.path, "before": each.before, "after": each.after, "class": each.kind.name} for each in changed
        ],
        "steps": [{"code": each.code, "message": each.message, "warning": each.warning} for each in first]
        if result != "nothing"
        else [],
        "why": decision.why,
    }


def _last_valid(raw: RawSpec | None, record: Record | None) -> JobSpec | None:
    if raw is not None:
        try:
            return parse_spec(raw.name, raw.data)
        except SpecInvalid:
            pass
    return record.spec if record is not None else None


def _result(record: Record | None, spec: JobSpec, changed: tuple[FieldChange, ...]) -> str:
    """The kind of change, as the classes of `docs/spec.md` name it."""
    assert record is not None
    if record.spec is not None and record.spec.job.state != spec.job.state:
        return "suspend" if spec.job.state == "suspended" else "resume"
    running = record.generation.spec if record.generation is not None else record.spec
    if not changed and (record.spec == spec):
        return "nothing"
    return diff_class(running, spec).name.lower() if running is not None and running != spec else "ignore"


_SAID = {
    "nothing": "nothing would change",
    "create": "the job would be created",
    "delete": "the job would be ended",
    "suspend": "the job would be stopped with its state",
    "resume": "the job would be started from its state",
    "none": "nothing would change",
    "ignore": "taken up without touching what runs",
    "scale": "rescaled in place if Flink can, else upgraded",
    "upgrade": "the job would be stopped and a new generation started",
}


def _tell(document: dict[str, Any]) -> None:
    click.echo(f"{document['name']}: {_SAID[document['result']]}")
    if document["changes"]:
        rows = [
            [each["path"], _value(each["before"]), _value(each["after"]), each["class"]] for each in document["changes"]
        ]
        render_output.write_table(("FIELD", "BEFORE", "AFTER", "CLASS"), rows, indent=2)
    for step in document["steps"]:
        click.echo(f"  {'! ' if step['warning'] else ''}{step['code']}: {step['message']}")
    if document["why"]:
        click.echo(f"  then: {document['why']}")
    click.echo(
        f"version {document['version']}; to write it only if that is still so: --check-version {document['version']}"
    )


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "-"
