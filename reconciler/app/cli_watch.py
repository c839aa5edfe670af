"""`weir get --watch`: the table again whenever a job changes; in a pipe, a line for each job that did."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from reconciler.app import render_jobs, render_output, render_views
from reconciler.app.cli_jobs import NOBODY_LEADS
from reconciler.app.cli_services import JobStore, Services, Silence, note
from reconciler.app.cli_wait import ELECTION_S
from reconciler.app.render_views import JobView
from reconciler.ports import StoreUnavailable

POLL_S = 1.0


def watch(
    services: Services, store: JobStore, load: Callable[[], Sequence[JobView]], everything: bool, output: str
) -> None:
    """Until Ctrl-C. While ZooKeeper does not answer, or nobody leads, it says so, once, and goes on."""
    printed: dict[str, dict[str, Any]] = {}
    widths: list[int] = []
    silence, leaderless = Silence(), Leaderless(services)
    while True:
        try:
            jobs, led = list(load()), store.load_leader() is not None
        except StoreUnavailable as error:
            silence.goes_on(error)
        else:
            silence.ended()
            seen = {job.name: _without_time(job) for job in jobs}
            # A job that was deleted is shown once more, as it is then.
            shown = [job for job in jobs if everything or not job.deleted or job.name in printed]
            changed = [job for job in shown if printed.get(job.name) != seen[job.name]]
            gone = sorted(printed.keys() - seen.keys())
            if changed or gone or not widths:
                widths = _print(services, shown, changed, gone, output, widths)
                if render_output.on_terminal():
                    leaderless.again()  # the screen was cleared
            leaderless.look(led)
            printed = {job.name: seen[job.name] for job in shown if everything or not job.deleted}
        services.sleep(POLL_S)


class Leaderless:
    """Says once that nobody leads: at once of what is so at the beginning, later after the time of an election."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._since = services.monotonic() - ELECTION_S
        self._told = False

    def look(self, led: bool) -> None:
        if led:
            self._since, self._told = self._services.monotonic(), False
        elif not self._told and self._services.monotonic() - self._since >= ELECTION_S:
            note(NOBODY_LEADS)
            self._told = True

    def again(self) -> None:
        self._told = False


def _print(
    services: Services,
    shown: Sequence[JobView],
    changed: Sequence[JobView],
    gone: Sequence[str],
    output: str,
    widths: list[int],
) -> list[int]:
    """Write what is new; the widths of the columns, which stay as they are."""
    if output in ("json", "yaml"):
        for job in changed:
            _document(render_views.as_json(job), output)
        return [0]
    wide = output == "wide"
    if render_output.on_terminal():
        click.clear()
        titles, rows = render_jobs.table(shown, services.now(), wide=wide)
        render_output.write_table(titles, rows)
        return [0]
    titles, rows = render_jobs.table(changed, services.now(), wide=wide)
    rows += [[name, "gone", *([""] * (len(titles) - 2))] for name in gone]
    cells = [[render_output.flat(cell) or "-" for cell in row] for row in rows]
    if not widths:
        cells.insert(0, list(titles))
        widths = [max(len(row[n]) for row in cells) for n in range(len(titles))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return widths


def _without_time(job: JobView) -> dict[str, Any]:
    """What is compared: a status that was only written again is no news."""
    document = render_views.as_json(job)
    if document["status"] is not None:
        document["status"] = {**document["status"], "time": ""}
    return document


def _document(document: dict[str, Any], output: str) -> None:
    if output == "yaml":
        click.echo("---")
        render_output.write_data(document, output)
    else:
        click.echo(json.dumps(document, ensure_ascii=False))
