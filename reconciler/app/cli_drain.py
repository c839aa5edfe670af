"""`weir drain` and `weir undrain`: an agent that is to be empty before somebody works on it."""

from __future__ import annotations

import click

from reconciler.app import cli_completion, render_output
from reconciler.app.cli_drained import drains, left, left_on
from reconciler.app.cli_errors import NOT_FOUND, TIMED_OUT, Problem
from reconciler.app.cli_request import ask_for
from reconciler.app.cli_services import JobStore, Services, Silence, connected, note
from reconciler.app.cli_wait import duration
from reconciler.app.render_output import ago
from reconciler.model.control import GLOBAL
from reconciler.model.units import format_duration
from reconciler.ports import StoreUnavailable

ANSWER_S = 30.0
POLL_S = 1.0


@click.command()
@click.argument("agent", required=False, shell_complete=cli_completion.agents)
@click.option("--reason", default="", help="Why, for the events and the pages.")
@click.option("--wait", is_flag=True, help="Wait until nothing is left there.")
@click.option(
    "--timeout", default="30m", show_default=True, callback=duration, help="How long --wait waits; moving goes on."
)
@connected
def drain(services: Services, agent: str | None, reason: str, wait: bool, timeout: float) -> None:
    """Move everything away from an agent, without losing state; without AGENT, list drained agents.

    AGENT is an agent's id or hostname. Nothing new is placed there, and its tasks move one after the other: the
    replacement comes first. It stays drained until `weir undrain AGENT`.
    """
    with services.store() as store:
        if agent is None:
            _list(services, store)
            return
        if not (wait and any(each.agent == agent for each in drains(store))):
            ask_for(services, store, GLOBAL, "drain", ANSWER_S, agent=agent, reason=reason)
        if wait:
            _wait(services, store, agent, timeout)


@click.command()
@click.argument("agent", shell_complete=cli_completion.drained)
@connected
def undrain(services: Services, agent: str) -> None:
    """Let an agent take tasks again; what has moved away stays where it is."""
    with services.store() as store:
        ask_for(services, store, GLOBAL, "undrain", ANSWER_S, agent=agent)


def _list(services: Services, store: JobStore) -> None:
    found = drains(store)
    if not found:
        note("no agent is drained")
        return
    rows = [
        [each.agent, f"{ago(services.now() - each.since)} ago", each.by, each.reason, left(store, each)]
        for each in found
    ]
    render_output.write_table(["AGENT", "DRAINED", "BY", "REASON", "LEFT"], rows)


def _wait(services: Services, store: JobStore, agent: str, timeout: float) -> None:
    """Until the leader has seen that nothing is left there. Raises Problem."""
    deadline = services.monotonic() + timeout
    silence, told, there = Silence(), "", ""
    while True:
        try:
            mine = next((each for each in drains(store) if each.agent == agent), None)
            if mine is None:
                raise Problem(f"{agent} is not drained any more; drain it again: weir drain {agent}", NOT_FOUND)
            if mine.emptied_at is not None:
                click.echo(f"nothing is left on {agent}")
                return
            there = "; ".join(f"{job}: {said}" for job, said in left_on(store, agent)[:5])
            if there and there != told:
                click.echo(f"still on {agent}: {there}", err=True)
            told = there
            silence.ended()
        except StoreUnavailable as error:
            silence.goes_on(error)
        if services.monotonic() >= deadline:
            raise Problem(
                f"after {format_duration(timeout)} there is still on {agent}: {there or 'unknown tasks'}", TIMED_OUT
            )
        services.sleep(POLL_S)
