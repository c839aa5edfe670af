"""Tables on a terminal, plain aligned text in a pipe, and JSON or YAML for machines."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

OUTPUTS = ("table", "wide", "json", "yaml")

STYLES: Mapping[str, str] = {
    "STABLE": "green", "FINISHED": "green", "DEPLOYED": "cyan", "CREATED": "cyan", "UPGRADING": "yellow",
    "RECONCILING": "yellow", "ROLLING_BACK": "yellow", "DELETING": "yellow", "SUSPENDED": "blue",
    "ROLLED_BACK": "red", "FAILED": "red", "BLOCKED": "red", "RUNNING": "green", "TASK_RUNNING": "green",
}  # fmt: skip
"""Colours of states, by the word they begin with."""


def output_option(*extra: str) -> Callable[[Any], Any]:
    """`-o`; `extra` are forms that the command has besides table, json and yaml."""
    forms = [form for form in OUTPUTS if form in ("table", "json", "yaml", *extra)]
    return click.option("-o", "--output", type=click.Choice(forms), default="table", show_default=True, help="Form.")


def on_terminal() -> bool:
    return sys.stdout.isatty()


def write_data(data: Any, form: str) -> None:
    """Machine-readable output: the same document as JSON or YAML."""
    if form == "yaml":
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000), nl=False)
        return
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


NARROWEST = 40
"""Columns that the last one, a sentence or a path, has to get to stand in a table on a terminal."""


def write_table(titles: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 0) -> None:
    """Whole values in any case: folded on a terminal, as long as they are in a pipe."""
    if not on_terminal():
        for line in plain_table(titles, rows):
            click.echo(" " * indent + line)
    elif shutil.get_terminal_size().columns - indent - _width(titles[:-1], rows) >= NARROWEST:
        _write_rich(titles, rows, indent)
    else:
        _write_narrow(titles, rows, indent)


def _width(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """What the columns of `titles` need, with the space behind each."""
    return sum(max(len(title), *(len(row[n]) for row in rows), 1) + 2 for n, title in enumerate(titles))


def _write_narrow(titles: Sequence[str], rows: Sequence[Sequence[str]], indent: int) -> None:
    """Every last cell on a line of its own, below the others."""
    lines = plain_table(titles[:-1], [row[:-1] for row in rows])
    click.secho(" " * indent + lines[0], bold=True)
    for line, row in zip(lines[1:], rows, strict=True):
        click.echo(" " * indent + line)
        click.echo(" " * (indent + 2) + flat(row[-1]))


def plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, nothing cut off, no space at the end of a line."""
    cells = [list(titles), *[[flat(cell) or "-" for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _write_rich(titles: Sequence[str], rows: Sequence[Sequence[str]], indent: int) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for number, title in enumerate(titles):
        # The last column holds sentences and paths; it takes what the others leave.
        table.add_column(title, overflow="fold", no_wrap=number < len(titles) - 1)
    for row in rows:
        table.add_row(*(Text(flat(cell) or "-", style=_style(cell)) for cell in row))
    Console().print(Padding(table, (0, 0, 0, indent)))


def _style(cell: str) -> str:
    return STYLES.get(cell.partition(",")[0], "")


def flat(text: str) -> str:
    """One line without control characters: what jobs and tasks say must not drive a terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))


def heading(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def parse_time(text: str) -> float | None:
    """Seconds since the epoch of a status's time, or None."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except ValueError:
        return None


def ago(seconds: float) -> str:
    """A rough age: "12s", "3m", "5h", "2d"."""
    seconds = max(seconds, 0.0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
