"""`--wait`: look at a job's status until it is what was asked for, cannot become it, or time is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from reconciler.app import render_views
from reconciler.app.cli_errors import TIMED_OUT, Problem
from reconciler.app.cli_services import JobStore, Services
from reconciler.app.render_output import flat
from reconciler.app.render_views import JobView
from reconciler.model.events import StoredRecord
from reconciler.model.record import Lifecycle
from reconciler.model.spec import JobSpec
from reconciler.model.units import format_duration, parse_duration
from reconciler.ports import StoreUnavailable

POLL_S = 0.3
ELECTION_S = 10.0
"""A change of leader takes about a session time-out; only after that somebody has to be told."""
LIFECYCLES = tuple(each.value for each in Lifecycle)
STUCK = frozenset({"BLOCKED", "FAILED", "ROLLED_BACK"})
"""Where a job goes on only when a person does something; so nobody should be kept waiting for it."""


def timeout_option(command: Any) -> Any:
    return click.option(
        "--timeout", default="5m", show_default=True, callback=duration, help="How long --wait waits, such as 90s."
    )(command)


def duration(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def targets(wanted: str, spec: JobSpec) -> frozenset[str]:
    """The lifecycles that end the waiting; by default what the desired state leads to."""
    if wanted:
        return frozenset({wanted.upper()})
    return frozenset({"SUSPENDED", "FINISHED"} if spec.job.state == "suspended" else {"STABLE", "FINISHED"})


def wait_for(
    services: Services,
    store: JobStore,
    name: str,
    wanted: frozenset[str],
    timeout_s: float,
    since: float | None = None,
) -> None:
    """Until the newest desired state is taken up and the job is in one of `wanted`. Raises Problem.

    `since`: when the waiting began, if it began for other jobs.
    """

    def reached(job: JobView) -> bool:
        status = job.status
        if job.raw is None:
            raise Problem(f'"{name}" was deleted meanwhile')
        if status is None or not job.seen:
            return False
        if not status.accepted:
            raise Problem(f'"{name}": {render_views.why(job)}; correct it and apply it again')
        if status.lifecycle in wanted:
            return not _rescales(store, name)
        if status.lifecycle in STUCK or (status.lifecycle == "FINISHED" and "SUSPENDED" not in wanted):
            raise Problem(f'"{name}" is {status.lifecycle}: {status.why}; see: weir describe {name}')
        return False

    poll(services, store, name, reached, timeout_s, " or ".join(sorted(wanted)), since)


def _rescales(store: JobStore, name: str) -> bool:
    """Whether the job is on the way to another parallelism, during which it is STABLE as it was."""
    stored = store.load_record(name)
    generation = stored.record.generation if isinstance(stored, StoredRecord) else None
    return generation is not None and generation.ending is None and generation.scaling_since is not None


def wait_deleted(services: Services, store: JobStore, name: str, timeout_s: float) -> None:
    """Until every task of the job is gone. Raises Problem."""

    def reached(job: JobView) -> bool:
        if job.raw is not None:
            raise Problem(f'"{name}" was written again meanwhile; see: weir describe {name}')
        if job.status is None or job.deleted:
            return True
        if job.status.error:
            raise Problem(f'"{name}" is not deleted: {job.status.error}')
        return False

    poll(services, store, name, reached, timeout_s, "DELETED")


def poll(
    services: Services,
    store: JobStore,
    name: str,
    reached: Callable[[JobView], bool],
    timeout_s: float,
    what: str,
    since: float | None = None,
) -> None:
    """Look until `reached`; what is seen is told whenever it changes. Raises Problem when time is up."""
    deadline = (services.monotonic() if since is None else since) + timeout_s
    told = last = ""
    leaderless: float | None = None
    while True:
        try:
            job = render_views.view(name, store.load_job(name), store.load_status(name))
            if reached(job):
                return
            last = render_views.why(job)
            leaderless = _since(services, leaderless, store.load_leader() is None)
            if leaderless is not None and services.monotonic() - leaderless >= ELECTION_S:
                last = f"no replica leads, so nothing is acted on; start one: weir run. Last known: {last}"
            lifecycle = job.status.lifecycle if job.status else "-"
            line = f"{name}: {lifecycle}, {flat(last)}"
        except StoreUnavailable as error:
            line = last = f"ZooKeeper does not answer: {error}"
        if line != told:
            click.echo(line, err=True)
            told = line
        if services.monotonic() >= deadline:
            waited = format_duration(timeout_s)
            hint = f"it is worked on further; see: weir describe {name}"
            raise Problem(f'"{name}" is not {what} after {waited}: {last}; {hint}', TIMED_OUT)
        services.sleep(POLL_S)


def _since(services: Services, before: float | None, now: bool) -> float | None:
    """Since when something has been so."""
    if not now:
        return None
    return services.monotonic() if before is None else before
