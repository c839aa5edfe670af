"""Tables on a terminal, plain aligned text in a pipe, and JSON or YAML for machines."""

from __future__ import annotations

import json
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


def write_table(titles: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 0) -> None:
    """Whole values in either case: folded on a terminal, as long as they are in a pipe."""
    if on_terminal():
        _write_rich(titles, rows, indent)
        return
    for line in plain_table(titles, rows):
        click.echo(" " * indent + line)


def plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, nothing cut off, no space at the end of a line."""
    cells = [list(titles), *[[_flat(cell) or "-" for cell in row] for row in rows]]
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
        table.add_row(*(Text(_flat(cell) or "-", style=_style(cell)) for cell in row))
    Console().print(Padding(table, (0, 0, 0, indent)))


def _style(cell: str) -> str:
    return STYLES.get(cell.partition(",")[0], "")


def _flat(cell: str) -> str:
    return " ".join(cell.split())


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
