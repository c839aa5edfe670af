"""`weir drain` and `weir undrain`: an agent that is to be empty before somebody works on it."""

from __future__ import annotations

from typing import Any

import click

from reconciler.app import cli_completion, render_output
from reconciler.app.cli_drained import drains, left, left_on
from reconciler.app.cli_errors import NOT_FOUND, TIMED_OUT, Problem
from reconciler.app.cli_request import ask_for
from reconciler.app.cli_services import JobStore, Services, Silence, connected, note
from reconciler.app.cli_wait import duration
from reconciler.app.render_output import ago
from reconciler.model.control import GLOBAL
from reconciler.model.operator import Drain
from reconciler.model.units import format_duration
from reconciler.ports import StoreUnavailable
from reconciler.report import timestamp

ANSWER_S = 30.0
POLL_S = 1.0


@click.command()
@click.argument("agent", required=False, shell_complete=cli_completion.agents)
@click.option("--reason", default="", help="Why, for the events and the pages.")
@click.option("--wait", is_flag=True, help="Wait until nothing is left there.")
@click.option(
    "--timeout", default="30m", show_default=True, callback=duration, help="How long --wait waits; moving goes on."
)
@render_output.output_option()
@connected
def drain(services: Services, agent: str | None, reason: str, wait: bool, timeout: float, output: str) -> None:
    """Move everything away from an agent, without losing state; without AGENT, list drained agents.

    AGENT is an agent's id or hostname. Nothing new is placed there, and its tasks move one after the other: the
    replacement comes first. It stays drained until `weir undrain AGENT`.
    """
    with services.store() as store:
        if agent is None:
            _list(services, store, output)
            return
        if not (wait and any(each.agent == agent for each in drains(store))):
            ask_for(services, store, GLOBAL, "drain", ANSWER_S, output, agent=agent, reason=reason)
        if wait:
            _wait(services, store, agent, timeout, output)


@click.command()
@click.argument("agent", shell_complete=cli_completion.drained)
@render_output.output_option()
@connected
def undrain(services: Services, agent: str, output: str) -> None:
    """Let an agent take tasks again; what has moved away stays where it is."""
    with services.store() as store:
        ask_for(services, store, GLOBAL, "undrain", ANSWER_S, output, agent=agent)


def _list(services: Services, store: JobStore, output: str) -> None:
    found = drains(store)
    if not found:
        note("no agent is drained")
    if output != "table":
        render_output.write_data([_as_json(store, each) for each in found], output)
        return
    if not found:
        return
    rows = [
        [each.agent, f"{ago(services.now() - each.since)} ago", each.by, each.reason, left(store, each)]
        for each in found
    ]
    render_output.write_table(["AGENT", "DRAINED", "BY", "REASON", "LEFT"], rows)


def _as_json(store: JobStore, each: Drain) -> dict[str, Any]:
    return {
        "agent": each.agent,
        "since": timestamp(each.since),
        "by": each.by,
        "reason": each.reason,
        "emptied": timestamp(each.emptied_at) if each.emptied_at is not None else None,
        "left": [{"job": job, "task": said} for job, said in left_on(store, each.agent)],
    }


def _wait(services: Services, store: JobStore, agent: str, timeout: float, output: str) -> None:
    """Until the leader has seen that nothing is left there. Raises Problem."""
    deadline = services.monotonic() + timeout
    silence, told, there = Silence(), "", ""
    while True:
        try:
            mine = next((each for each in drains(store) if each.agent == agent), None)
            if mine is None:
                raise Problem(f"{agent} is not drained any more; drain it again: weir drain {agent}", NOT_FOUND)
            if mine.emptied_at is not None:
                click.echo(f"nothing is left on {agent}", err=output != "table")
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
