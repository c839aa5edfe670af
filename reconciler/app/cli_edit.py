"""`weir savepoint`, `suspend`, `resume`, `restart` and `scale`: edits of one field of the desired state.

They are writes of `ROOT/jobs/NAME` with the caller's own rights, compare-and-set, and leave everything
else of the document as its author wrote it.
"""

from __future__ import annotations

import sys

import click

from reconciler.app import cli_completion, edit
from reconciler.app.cli_errors import NO_ZOOKEEPER, NOT_FOUND, USAGE, Problem
from reconciler.app.cli_jobs import load_view, tell_leader
from reconciler.app.cli_services import JobStore, Services, connected, note
from reconciler.app.cli_wait import STUCK, poll, targets, timeout_option, wait_for
from reconciler.app.render_views import JobView
from reconciler.model.events import StoredRecord
from reconciler.model.record import Record, Snapshot, SnapshotKind
from reconciler.model.spec import JobSpec
from reconciler.ports import StoreUnavailable, VersionConflict

ATTEMPTS = 5

_wait = click.option("--wait", is_flag=True, help="Wait until it is done.")


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@_wait
@timeout_option
@connected
def savepoint(services: Services, name: str, wait: bool, timeout: float) -> None:
    """Take a savepoint of a running job; it goes on running.

    Raises job.savepointTriggerNonce by one. With --wait the path is printed on stdout.
    """
    with services.store() as store:
        job = require(store, name)
        if job.spec is not None and job.spec.job.state != "running":
            raise Problem(f'"{name}" is suspended: it has no running job to take a savepoint of')
        before = {snapshot.path for snapshot in _manual(store, name)[1]}
        nonce, _ = write(store, name, edit.savepoint)
        click.echo(f"savepoint {nonce} of {name} asked for", err=wait)
        tell_leader(store)
        if wait:
            click.echo(_wait_savepoint(services, store, name, nonce, before, timeout))


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_wait
@timeout_option
@connected
def suspend(services: Services, name: str, yes: bool, wait: bool, timeout: float) -> None:
    """Stop a job, keeping its state as upgradeMode says; `weir resume` goes on from there."""
    with services.store() as store:
        job = require(store, name)
        how = f"upgradeMode is {job.spec.job.upgrade_mode}" if job.spec else "as its last valid version says"
        ask(yes, name, f"Suspend {name}? It is stopped; {how}.")
        _, spec = write(store, name, edit.suspend)
        _after(services, store, name, "suspended", spec, wait, timeout)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@_wait
@timeout_option
@connected
def resume(services: Services, name: str, wait: bool, timeout: float) -> None:
    """Start a suspended job again, from the state that it was stopped with."""
    with services.store() as store:
        require(store, name)
        _, spec = write(store, name, edit.resume)
        _after(services, store, name, "resumed", spec, wait, timeout)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_wait
@timeout_option
@connected
def restart(services: Services, name: str, yes: bool, wait: bool, timeout: float) -> None:
    """Stop a job and start it again from its own newest state; also after its restart strategy gave up."""
    with services.store() as store:
        require(store, name)
        ask(yes, name, f"Restart {name}? It is stopped and starts again from its newest state.")
        nonce, spec = write(store, name, edit.restart)
        _after(services, store, name, f"restart {nonce} asked for", spec, wait, timeout)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.argument("parallelism", type=click.IntRange(1, 32768))
@_wait
@timeout_option
@connected
def scale(services: Services, name: str, parallelism: int, wait: bool, timeout: float) -> None:
    """Change the parallelism of a job, in place where Flink can."""
    with services.store() as store:
        require(store, name)
        _, spec = write(store, name, edit.scaled(parallelism))
        _after(services, store, name, f"scaled to parallelism {parallelism}", spec, wait, timeout)


# Editing


def require(store: JobStore, name: str) -> JobView:
    """The job, which has to be desired. Raises Problem."""
    job = load_view(store, name)
    if job.raw is None:
        raise Problem(f'"{name}" is deleted; write it again first: weir apply -f FILE --name {name}', NOT_FOUND)
    return job


def write(store: JobStore, name: str, change: edit.Change) -> tuple[int, JobSpec]:
    """Change the document of `name` and write it if nobody else did meanwhile.

    Returns what the changed number became (0 when nothing was written) and the new spec. Raises Problem.
    """
    for _ in range(ATTEMPTS):
        raw = store.load_job(name)
        if raw is None:
            raise Problem(f'"{name}" was deleted meanwhile', NOT_FOUND)
        try:
            after = edit.edited(name, raw.data, change)
        except edit.CannotEdit as error:
            raise Problem([f'"{name}": {line}' for line in error.lines]) from None
        if not after.value:
            note(f"{name} is so already; nothing was written")
            return 0, after.spec
        try:
            store.put_job(name, after.data, raw.ref.version)
        except VersionConflict:
            continue  # somebody else edited another field: take theirs and try again
        except StoreUnavailable as error:
            raise Problem(
                f'ZooKeeper did not answer when "{name}" was written ({error}), so it may have been written; '
                f"look before you ask again: weir events {name}",
                NO_ZOOKEEPER,
            ) from None
        return after.value, after.spec
    raise Problem(f'"{name}" is being changed by others all the time, nothing was written; try again')


# Asking and waiting


def can_ask() -> bool:
    return sys.stdin.isatty()


def ask(yes: bool, name: str, question: str, of: str = "name") -> None:
    """Destructive commands want the job's name, or --yes."""
    if yes:
        return
    if not can_ask():
        raise Problem(f'this stops "{name}" and needs a yes, and nobody can be asked here; add --yes', USAGE)
    said = click.prompt(
        f"{question} Type {'its name' if of == 'name' else 'the mark'} to go on",
        err=True,
        default="",
        show_default=False,
    )
    if said.strip() != name:
        raise Problem(f"that is not the {of}; nothing was done", USAGE)


def _after(
    services: Services, store: JobStore, name: str, said: str, spec: JobSpec, wait: bool, timeout: float
) -> None:
    click.echo(f"{name} {said}")
    tell_leader(store)
    if wait:
        wait_for(services, store, name, targets("", spec), timeout)


def _wait_savepoint(
    services: Services, store: JobStore, name: str, nonce: int, before: set[str], timeout: float
) -> str:
    """The path of the savepoint that `nonce` asked for; `before` are those that were there."""
    found: list[str] = []

    def reached(job: JobView) -> bool:
        if job.raw is None:
            raise Problem(f'"{name}" was deleted meanwhile')
        if not job.seen or job.status is None:
            return False
        if not job.status.accepted:
            raise Problem(f'"{name}": {job.status.error}; correct it and ask again')
        if job.status.lifecycle in STUCK or job.status.lifecycle == "FINISHED":
            raise Problem(f'"{name}" is {job.status.lifecycle}: {job.status.why}; see: weir describe {name}')
        record, snapshots = _manual(store, name)
        if record is None or record.savepoint_nonce < nonce or record.savepoint is not None:
            return False
        new = [snapshot for snapshot in snapshots if snapshot.path not in before]
        if not new:
            raise Problem(f'the savepoint of "{name}" failed; see: weir events {name}')
        found.append(max(new, key=lambda snapshot: snapshot.time).path)
        return True

    poll(services, store, name, reached, timeout, "done with its savepoint")
    return found[-1]


def _manual(store: JobStore, name: str) -> tuple[Record | None, list[Snapshot]]:
    """The operator's memory of a job, and the savepoints in it that somebody asked for."""
    stored = store.load_record(name)
    if not isinstance(stored, StoredRecord):
        return None, []
    wanted = [
        snapshot
        for snapshot in stored.record.snapshots
        if snapshot.kind is SnapshotKind.SAVEPOINT and snapshot.reason == "manual"
    ]
    return stored.record, wanted
