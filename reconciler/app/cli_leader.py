"""`weir leader` and `weir version`."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from reconciler.app import render_output
from reconciler.app.cli_errors import NOT_FOUND, Problem
from reconciler.app.cli_services import Services, connected
from reconciler.model.record import SCHEMA_VERSION


@click.command()
@render_output.output_option()
@connected
def leader(services: Services, output: str) -> None:
    """Show which replica leads."""
    with services.store() as store:
        info = store.load_leader()
    if info is None:
        raise Problem("no replica leads; start one: weir run", NOT_FOUND)
    if output != "table":
        render_output.write_data(info.model_dump(mode="json", by_alias=True), output)
        return
    titles = ("REPLICA", "HOST", "PID", "EPOCH", "SINCE", "VERSION", "API")
    row = [info.replica, info.host, str(info.pid), str(info.epoch), info.since, info.version, info.api or ""]
    render_output.write_table(titles, [row])


@click.command()
@render_output.output_option()
def version(output: str) -> None:
    """Show the version."""
    number = metadata.version("weir")
    if output == "table":
        click.echo(f"weir {number}")
        return
    facts = {"weir": number, "python": platform.python_version(), "recordSchema": SCHEMA_VERSION}
    render_output.write_data(facts, output)
