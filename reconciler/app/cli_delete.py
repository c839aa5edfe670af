"""`weir delete`: remove desired state; the leader then ends the job as its `onDelete` says."""

from __future__ import annotations

import click

from reconciler.app import cli_completion
from reconciler.app.cli_edit import ask
from reconciler.app.cli_errors import NOT_FOUND, Problem
from reconciler.app.cli_jobs import load_view, tell_leader
from reconciler.app.cli_services import Services, connected, note
from reconciler.app.cli_wait import timeout_option, wait_deleted
from reconciler.app.render_views import JobView

_HOW = {
    "savepoint": "it is stopped with a savepoint, whose path is kept for 30 days",
    "cancel": "it is cancelled WITHOUT a savepoint",
    "keep": "its tasks are left running and forgotten",
}


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait until every task of it is gone.")
@timeout_option
@connected
def delete(services: Services, name: str, yes: bool, wait: bool, timeout: float) -> None:
    """Remove the desired state of a job; it is then ended as its onDelete says."""
    with services.store() as store:
        job = load_view(store, name)
        if job.raw is None:
            _refuse_deleted(job, wait)
        else:
            ask(yes, name, f"Delete {name}? {how(job)[0].upper()}{how(job)[1:]}.")
            store.delete_job(name)
            click.echo(f"{name} deleted: {how(job)}")
        tell_leader(store)
        if wait:
            wait_deleted(services, store, name, timeout)
            click.echo(f"{name} is gone")


def how(job: JobView) -> str:
    """What deleting does to the job, as far as it can be told from here."""
    if job.spec is None:
        return "it is ended as onDelete of its last valid version says"
    return _HOW[job.spec.on_delete]


def _refuse_deleted(job: JobView, wait: bool) -> None:
    if job.deleted:
        raise Problem(f'"{job.name}" is deleted already; it is only remembered: weir describe {job.name}', NOT_FOUND)
    if not wait:
        raise Problem(f'"{job.name}" is being deleted already; wait for it: weir delete {job.name} --wait', NOT_FOUND)
    note(f"{job.name} is being deleted already")
