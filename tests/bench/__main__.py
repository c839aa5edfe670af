"""`make bench`: measure, print, and write build/bench/results.json.

python -m tests.bench [NAME...]     all groups, or those named
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from tests.bench import in_process
from tests.bench.figures import Figure, shown, store

OUT = Path(__file__).resolve().parents[2] / "build" / "bench"
GROUPS: dict[str, Callable[[], Iterator[Figure]]] = {
    "decide": in_process.decisions,
    "matching": in_process.matching,
    "start": in_process.start,
    "growth": in_process.growth,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"error: unknown group {', '.join(unknown)}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures: list[Figure] = []
    for name in names or GROUPS:
        began = time.monotonic()
        figures += GROUPS[name]()
        print(f"bench: {name} measured in {time.monotonic() - began:.0f} s", flush=True)
    _print(figures)
    store(figures, OUT / "results.json")
    met = sum(figure.met for figure in figures)
    print(f"bench: {met} of {len(figures)} goals met; {OUT / 'results.json'}")
    return 0


def _print(figures: list[Figure]) -> None:
    table = Table("figure", "unit", "median", "p99", "floor", "ratio", "goal", "met")
    for one in figures:
        floor = shown(one.floor) + (f" ({one.floor_name})" if one.floor_name else "")
        table.add_row(
            one.name, one.unit, shown(one.median), shown(one.p99), floor, shown(one.ratio), one.goal,
            "yes" if one.met else "NO",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
