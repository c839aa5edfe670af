"""`weir get` and `weir describe`: what is wanted, what is, and why."""

from __future__ import annotations

from difflib import get_close_matches

import click

from reconciler.app import cli_completion, render_describe, render_jobs, render_output, render_views
from reconciler.app.cli_drained import say_drained
from reconciler.app.cli_errors import NOT_FOUND, Problem
from reconciler.app.cli_services import JobStore, Services, connected, note
from reconciler.app.render_views import JobView
from reconciler.ports import StoreError, StoreUnavailable
from state.layout import check_name

NOBODY_LEADS = "no replica leads, so nothing is acted on; start one: weir run"


@click.command()
@click.argument("name", required=False, shell_complete=cli_completion.jobs)
@click.option("-a", "--all", "everything", is_flag=True, help="Also jobs that were deleted and are only remembered.")
@click.option("-w", "--watch", "watching", is_flag=True, help="Go on and show what changes; end with Ctrl-C.")
@render_output.output_option("wide")
@connected
def get(services: Services, name: str | None, everything: bool, watching: bool, output: str) -> None:
    """List jobs, or show one line of one job.

    With -o json: an array of jobs, or the one that NAME says. With --watch: one document on each line, for each job
    that has changed.
    """
    with services.store() as store:
        if watching:
            from reconciler.app.cli_watch import watch

            def load() -> list[JobView]:
                return load_views(store) if name is None else [load_view(store, name)]

            watch(services, store, load, everything or name is not None, output)
            return
        if name is not None:
            found = [load_view(store, name)]
        else:
            found = [job for job in load_views(store) if everything or not job.deleted]
        leader = store.load_leader()
        if name is None and output not in ("json", "yaml"):
            say_drained(store)
    if leader is None:
        note(NOBODY_LEADS)
    if output in ("json", "yaml"):
        documents = [render_views.as_json(job) for job in found]
        render_output.write_data(documents[0] if name is not None else documents, output)
    elif not found:
        note("no jobs; write one: weir apply -f FILE")
    else:
        titles, rows = render_jobs.table(found, services.now(), wide=output == "wide")
        render_output.write_table(titles, rows)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option("--events", "last", type=click.IntRange(0, 200), default=10, show_default=True, help="How many events.")
@render_output.output_option()
@connected
def describe(services: Services, name: str, last: int, output: str) -> None:
    """Show everything about one job, first what it waits for."""
    with services.store() as store:
        job = load_view(store, name)
        leader = store.load_leader()
        try:
            record = store.load_record(name)
        except StoreError:
            record = None  # the operator's memory may be closed to this user; the rest is not
        events = store.load_events(name)
    facts = render_describe.Facts(job, record, events[-last:] if last else (), leader, services.now())
    if output == "table":
        render_describe.write(facts)
    else:
        render_output.write_data(render_describe.as_json(facts), output)


def tell_leader(store: JobStore) -> None:
    """After a write: whether anybody acts on it. What is written stays so if that cannot be told."""
    try:
        leader = store.load_leader()
    except StoreUnavailable as error:
        note(f"it is written, but whether a replica leads is unknown, ZooKeeper does not answer: {error}")
        return
    if leader is None:
        note(NOBODY_LEADS)


def load_views(store: JobStore) -> list[JobView]:
    """Every job; says so when there is no desired tree at all."""
    tree = store.load_jobs()
    if tree.czxid is None:
        note("there is no desired tree below this root yet; the first weir apply, or the first replica, creates it")
    return render_views.views(tree.specs, store.list_statuses())


def load_view(store: JobStore, name: str) -> JobView:
    """One job. Raises Problem when there is none of that name, with the nearest that exists."""
    try:
        check_name(name)
    except ValueError as error:
        raise Problem(f"{error}; see the jobs that exist: weir get", NOT_FOUND) from None
    raw, status = store.load_job(name), store.load_status(name)
    if raw is None and status is None:
        raise unknown(store, name)
    return render_views.view(name, raw, status)


def unknown(store: JobStore, name: str) -> Problem:
    near = get_close_matches(name, [job.name for job in load_views(store)], n=1)
    hint = f"did you mean {near[0]}?" if near else "see the jobs that exist: weir get"
    return Problem(f'there is no job "{name}"; {hint}', NOT_FOUND)
