"""`make bench`: measure, print, and write build/bench/results.json and build/bench/figures.svg.

python -m tests.bench [NAME...]     all groups, or those named

A goal that is missed is a result. A measurement that failed is not: the others are measured all the same, and the exit
code is 1.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from tests.bench import in_process, leadership, many, reaction
from tests.bench.figures import Figure, shown, store
from tests.bench.plot import plot

OUT = Path(__file__).resolve().parents[2] / "build" / "bench"
Groups = Mapping[str, Callable[[], Iterator[Figure]]]
GROUPS: Groups = {
    "reaction": reaction.reaction,
    "leadership": leadership.leadership,
    "decide": in_process.decisions,
    "matching": in_process.matching,
    "resync": many.resync,
    "growth": in_process.growth,
    "memory": many.memory,
    "idle": many.idle,
    "start": many.start,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"error: unknown group {', '.join(unknown)}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures, failed = measured({name: GROUPS[name] for name in names or GROUPS})
    _print(figures)
    store(figures, OUT / "results.json")
    plot(figures, OUT / "figures.svg")
    met = sum(figure.met for figure in figures)
    print(f"bench: {met} of {len(figures)} goals met; {OUT / 'results.json'}, {OUT / 'figures.svg'}")
    if failed:
        print(f"error: not measured to the end: {', '.join(failed)}; see above", file=sys.stderr)
    return 1 if failed else 0


def measured(groups: Groups) -> tuple[list[Figure], list[str]]:
    """All figures that could be had, and the names of the groups that ended with an error."""
    figures: list[Figure] = []
    failed: list[str] = []
    for name, group in groups.items():
        began = time.monotonic()
        try:
            for one in group():
                figures.append(one)  # noqa: PERF402  (what came before an error counts)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print(f"bench: {name} took {time.monotonic() - began:.0f} s", flush=True)
    return figures, failed


def _print(figures: list[Figure]) -> None:
    table = Table("figure", "unit", "median", "p99", "floor", "ratio", "goal", "met")
    for one in figures:
        floor = shown(one.floor) + (f" ({one.floor_name})" if one.floor_name else "")
        table.add_row(
            one.name, one.unit, shown(one.median), shown(one.p99), floor, shown(one.ratio), one.goal,
            "yes" if one.met else "NO",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 180).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
