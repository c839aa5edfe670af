"""`python -m tests.soak [--minutes M] [--jobs N] [--dir DIR]`, or `make soak MINUTES=…`.

The last line of stdout is `soak: ok — …` and the exit code 0, or `soak: FAILED — …` and 1 (130 when interrupted).
`report.json` and `soak.svg` are written below DIR in either case.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from kazoo.exceptions import KazooException
from rich.console import Console
from rich.table import Table

from reconciler.app.demo.rows import REPOSITORY
from reconciler.app.demo.story import DemoFailed
from reconciler.model.status import LeaderInfo
from tests.judged import verdict
from tests.soak import plot
from tests.soak.cycles import Rounds
from tests.soak.ground import FULL, SHORT, Ground
from tests.soak.judge import Finding, TooShort, judge

JOBS = 6
WARM_ROUNDS = 17
"""Cycles of each name after which its history (200 events) and its tombstones (16) are full; see docs/operations.md."""
HANDOVER_EVERY, EARLY = 25, (6, 12, 18, 24)
"""Cycles; early on, so that every process has led, and led again, before it is judged."""
SAMPLE_S, LOOK_S = 1.0, 0.1
SHARE = 2
"""A run that is too short for that warms up for one half of its cycles, and is judged by other bounds."""


class Soak:
    """One run on a ground."""

    def __init__(self, ground: Ground, jobs: int) -> None:
        self.ground = ground
        self.rounds = Rounds(ground.users, ground.weir.root, jobs)
        self.samples: list[tuple[float, dict[str, float]]] = []
        self.handovers = 0
        self._silent: tuple[LeaderInfo, float] | None = None

    def run(self, minutes: float) -> None:
        """Raises DemoFailed for a job that is stuck."""
        end = time.monotonic() + minutes * 60
        due, say = 0.0, time.monotonic() + 30
        while time.monotonic() < end:
            began = time.monotonic()
            self.rounds.go_on(self.ground.weir.store.list_statuses())
            self._hand_over(began)
            if began >= due and self._silent is None:
                self.samples.append((self.rounds.done, self.ground.measure()))
                due = began + SAMPLE_S
            if began >= say:
                print(f"soak: {self.rounds.done} cycles, {self.handovers} leaderships handed over", flush=True)
                say = began + 30
            time.sleep(max(0.0, LOOK_S - (time.monotonic() - began)))
        while self._silent is not None:
            self._hand_over(time.monotonic())
            time.sleep(LOOK_S)

    def _hand_over(self, now: float) -> None:
        due = [*EARLY, HANDOVER_EVERY * (self.handovers + 2 - len(EARLY))][min(self.handovers, len(EARLY))]
        if self._silent is None and self.rounds.done >= due:
            self._silent = (self.ground.silence(), now)
        elif self._silent is not None and self.ground.succeeded(self._silent[0]):
            self._silent, self.handovers = None, self.handovers + 1
        elif self._silent is not None and now - self._silent[1] > 60.0:
            raise DemoFailed("no other replica led within 60 s after the leader was stopped")


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    options = _parser().parse_args(argv)
    directory: Path = options.dir.absolute()
    print(f"soak: {options.minutes:g} minutes with {options.jobs} jobs; everything is below {directory}", flush=True)
    again = f"make soak MINUTES={options.minutes:g}"
    work = partial(run, directory, options.minutes, options.jobs)
    return verdict("soak", directory, again, work, SoakFailed, TooShort, KazooException)


class SoakFailed(Exception):
    """Something grows."""


def run(directory: Path, minutes: float, jobs: int) -> str:
    """The last line's numbers."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with Ground(directory) as ground:
        soak = Soak(ground, jobs)
        soak.run(minutes)
    shutil.rmtree(directory / "stack" / "agents", ignore_errors=True)  # a sandbox for each task
    done = soak.rounds.done
    filled = done >= SHARE * WARM_ROUNDS * jobs
    warm_up = WARM_ROUNDS * jobs if filled else done / SHARE
    findings = judge(soak.samples, FULL if filled else SHORT, warm_up)
    line = f"{done} cycles of {jobs} jobs, {soak.handovers} leaderships handed over, {len(soak.samples)} samples"
    _write(directory, soak, findings, warm_up, line)
    _print(findings)
    if grown := [finding.sentence() for finding in findings if not finding.ok]:
        raise SoakFailed("; ".join(grown))
    return f"{line}; no slope over its bound after the first {warm_up:.0f} cycles"


def _write(directory: Path, soak: Soak, findings: Sequence[Finding], warm_up: float, line: str) -> None:
    report = {
        "cycles": soak.rounds.done,
        "handovers": soak.handovers,
        "warmUpCycles": warm_up,
        "findings": [{**asdict(finding), "ok": finding.ok} for finding in findings],
        "samples": [{"cycles": cycles, **measured} for cycles, measured in soak.samples],
    }
    (directory / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (directory / "soak.svg").write_text(plot.render(soak.samples, findings, warm_up, f"Weir's soak: {line}"))


def _print(findings: Sequence[Finding]) -> None:
    table = Table("measured", "unit", "after warm-up", "at the end", "per 1,000 cycles", "± ", "at most", "ok")
    for one in findings:
        table.add_row(
            one.bound.name, one.bound.unit, f"{one.first:.4g}", f"{one.last:.4g}", f"{one.growth:.3g}",
            f"{one.error:.2g}", f"{one.bound.most:g}", "yes" if one.ok else "NO",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Job life cycles: what grows?")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"names that go round at the same time ({JOBS})")
    parser.add_argument("--dir", type=Path, default=REPOSITORY / "build" / "soak", help="where everything is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
