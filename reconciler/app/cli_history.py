"""`weir events` and `weir history`: what happened to a job, and what it ran before."""

from __future__ import annotations

from typing import Any

import click

from reconciler.app import cli_completion, render_output
from reconciler.app.cli_errors import NOT_FOUND, Problem
from reconciler.app.cli_jobs import load_view
from reconciler.app.cli_services import JobStore, Services, Silence, connected
from reconciler.diff import changes, describe
from reconciler.model.control import GLOBAL
from reconciler.model.events import StoredRecord
from reconciler.model.record import Record
from reconciler.model.status import JobEvent
from reconciler.ports import StoreUnavailable
from reconciler.report import timestamp

POLL_S = 0.5


@click.command()
@click.argument("name", required=False, shell_complete=cli_completion.jobs)
@click.option("--follow", "-f", is_flag=True, help="Go on and print new ones; end with Ctrl-C.")
@click.option("--last", type=click.IntRange(0, 200), default=200, show_default=True, help="How many of the past.")
@render_output.output_option()
@connected
def events(services: Services, name: str | None, follow: bool, last: int, output: str) -> None:
    """Print what happened to a job, oldest first; without NAME what concerned all jobs.

    With --follow and -o json: one document on each line.
    """
    with services.store() as store:
        if name is not None:
            load_view(store, name)
        found = store.load_events(name or GLOBAL)[-last:] if last else ()
        if follow:
            _follow(services, store, name or GLOBAL, found, output)
        elif output == "table":
            render_output.write_table(("TIME", "GEN", "CODE", "WHAT"), [_row(event) for event in found])
        else:
            render_output.write_data([event.model_dump(mode="json", by_alias=True) for event in found], output)


def _follow(services: Services, store: JobStore, name: str, found: tuple[JobEvent, ...], output: str) -> None:
    """New events are those behind the last one that was printed; one that only counts up is printed again."""
    printed: JobEvent | None = None
    silence = Silence()
    while True:
        for event in found:
            _print(event, output)
            printed = event
        services.sleep(POLL_S)
        try:
            history = store.load_events(name)
        except StoreUnavailable as error:
            silence.goes_on(error)
            found = ()
            continue
        silence.ended()
        same = [n for n, event in enumerate(history) if printed is not None and _same(event, printed)]
        found = history if not same else history[same[-1] + 1 :]
        if same and history[same[-1]] != printed:
            found = (history[same[-1]], *found)


def _same(event: JobEvent, other: JobEvent) -> bool:
    return (event.code, event.message, event.generation) == (other.code, other.message, other.generation)


def _print(event: JobEvent, output: str) -> None:
    if output == "table":
        time, generation, code, what = _row(event)
        click.echo(f"{time}  {generation:>3}  {code}  {what}")
    elif output == "yaml":
        click.echo("---")
        render_output.write_data(event.model_dump(mode="json", by_alias=True), output)
    else:
        click.echo(event.model_dump_json(by_alias=True))


def _row(event: JobEvent) -> tuple[str, str, str, str]:
    times = f" ({event.count} times)" if event.count > 1 else ""
    return event.time, str(event.generation), ("! " if event.warning else "") + event.code, event.message + times


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@render_output.output_option()
@connected
def history(services: Services, name: str, output: str) -> None:
    """Print the generations of a job, what changed between them, and its savepoints and checkpoints."""
    with services.store() as store:
        load_view(store, name)
        stored = store.load_record(name)
    if not isinstance(stored, StoredRecord):
        raise Problem(f'nothing is remembered of "{name}" yet; see: weir describe {name}', NOT_FOUND)
    document = as_json(stored.record)
    if output != "table":
        render_output.write_data(document, output)
        return
    rows = [
        [str(each["number"]), each["started"], each["ended"] or "-", each["reason"], "yes" if each["stable"] else "-",
         each["restore"] or "-", each["changes"] or "-"]
        for each in document["generations"]
    ]  # fmt: skip
    render_output.write_table(("GEN", "STARTED", "ENDED", "ENDED BY", "STABLE", "STARTED FROM", "CHANGED"), rows)
    click.echo()
    rows = [
        [
            each["kind"],
            str(each["generation"]),
            str(each["checkpoint"]),
            each["time"],
            each["reason"] or "-",
            each["path"],
        ]
        for each in document["snapshots"]
    ]
    render_output.write_table(("KIND", "GEN", "CHECKPOINT", "TIME", "REASON", "PATH"), rows)


def as_json(record: Record) -> dict[str, Any]:
    """What `weir history -o json` prints; oldest first. Specs stand in full."""
    generations: list[dict[str, Any]] = []
    before = None
    for old in record.history:
        generations.append({
            "number": old.number, "started": timestamp(old.started_at), "ended": timestamp(old.ended_at),
            "reason": old.reason, "stable": old.was_stable, "restore": old.restore,
            "changes": describe(changes(before, old.spec)) if before is not None else "",
            "spec": old.spec.model_dump(mode="json", by_alias=True),
        })  # fmt: skip
        before = old.spec
    now = record.generation
    if now is not None:
        generations.append({
            "number": now.number, "started": timestamp(now.started_at), "ended": None, "reason": "-",
            "stable": record.stable_spec == now.spec, "restore": now.restore.path if now.restore else None,
            "changes": describe(changes(before, now.spec)) if before is not None else "",
            "spec": now.spec.model_dump(mode="json", by_alias=True),
        })  # fmt: skip
    ordered = sorted(record.snapshots, key=lambda snapshot: snapshot.order)
    snapshots = [
        {
            "kind": each.kind.value, "path": each.path, "generation": each.generation, "checkpoint": each.checkpoint_id,
            "time": timestamp(each.time), "reason": "given up" if each.abandoned else each.reason,
        }
        for each in ordered
    ]  # fmt: skip
    return {"name": record.name, "uid": record.uid, "generations": generations, "snapshots": snapshots}
