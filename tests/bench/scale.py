"""Where one leader bends: `python -m tests.bench.scale --jobs 100000` (docs/adr, sharding).

The shipped loop on the shipped fakes, in a process of its own for each size, so that memory is that of this size.
Each job is STABLE with three tasks. Memory is what a leader adds to the fakes: tree, agents and tasks are there before.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from reconciler.model.events import DesiredChanged, FlinkAnswered, TaskUpdate, Tick
from reconciler.model.observation import TaskState
from tests.bench.fleet import Fleet
from tests.unit.loop.bench import World

OUT = Path(__file__).resolve().parents[2] / "build" / "bench"
SIZES = (1_000, 10_000, 30_000, 100_000)
EVENTS = 100


@dataclass(frozen=True, slots=True)
class Bend:
    """One size. Times in seconds, of events in microseconds (median); memory in MB; sizes in bytes for each job."""

    jobs: int
    memory: float
    take_over: float
    """From the election to the last answer of Mesos and Flink."""
    resync: float
    """Everything read and every job decided, during which no other event is taken."""
    decides: float
    """Jobs looked at in a second of a resync, with all that the loop does about them."""
    task_update: float
    flink_answer: float
    edit: float
    record: float
    status: float
    spec: float


class Measured(Fleet):
    """Knows when the leader began, and what the process held then."""

    def __init__(self, jobs: int) -> None:
        self.began = self.before = 0.0
        super().__init__(jobs)
        self.taken_over = time.perf_counter() - self.began
        gc.collect()
        self.memory = rss_mb() - self.before

    def prepared(self, world: World) -> World:
        gc.collect()
        self.before, self.began = rss_mb(), time.perf_counter()
        return world


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def measure(jobs: int) -> Bend:
    """In this process."""
    fleet = Measured(jobs)
    resyncs = [_resync(fleet) for _ in range(3 if jobs <= 50_000 else 1)]
    record = fleet.loop.jobs["orders"].record
    assert record is not None
    assert record.generation is not None
    entry, generation, task = fleet.loop.jobs["orders"], record.generation, record.tasks[0]
    assert entry.flink is not None
    assert task.task_id is not None
    updates = [TaskUpdate(task.task_id, TaskState.RUNNING, task.agent_id) for _ in range(EVENTS)]
    answers = [
        FlinkAnswered("orders", generation.number, replace(entry.flink, at=fleet.world.now + n)) for n in range(EVENTS)
    ]
    edits = []
    for number in range(EVENTS):
        fleet.world.apply(taskManager={"replicas": 2}, restart={"maxBackoff": f"{60 + number}s"})
        edits.append(_timed(fleet, DesiredChanged()))
    tree = fleet.world.tree
    assert tree.jobs is not None
    return Bend(
        jobs,
        memory=fleet.memory,
        take_over=fleet.taken_over,
        resync=statistics.median(resyncs),
        decides=jobs / statistics.median(resyncs),
        task_update=statistics.median(_timed(fleet, each) for each in updates),
        flink_answer=statistics.median(_timed(fleet, each) for each in answers),
        edit=statistics.median(edits),
        record=statistics.mean(len(node.data) for node in tree.records.values()),
        status=statistics.mean(len(node.data) for node in tree.status.values()),
        spec=statistics.mean(len(node.data) for node in tree.jobs.values()),
    )


def _timed(fleet: Fleet, event: object) -> float:
    began = time.perf_counter()
    fleet.handle(event)  # type: ignore[arg-type]
    return (time.perf_counter() - began) * 1e6


def _resync(fleet: Fleet) -> float:
    """The timer's own work, without the polls that became due at the same time."""
    began = time.perf_counter()
    fleet.loop._on_timer("resync")
    fleet.loop._work()
    fleet.drain()
    while fleet.next_slice_is_due():
        fleet.handle(Tick())
    return time.perf_counter() - began


def main(argv: list[str] | None = None) -> int:
    """Sizes up to `--jobs`, each in a process of its own; a table, and build/bench/scale.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=SIZES[-1], help="the largest size")
    parser.add_argument("--only", action="store_true", help="this size alone, in this process, as one line of JSON")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if options.only:
        print(json.dumps(asdict(measure(options.jobs))))
        return 0
    found = []
    for size in sorted({*(size for size in SIZES if size < options.jobs), options.jobs}):
        began = time.monotonic()
        command = [sys.executable, "-m", "tests.bench.scale", "--only", "--jobs", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found.append(Bend(**json.loads(done.stdout.splitlines()[-1])))
        print(f"scale: {size} jobs measured in {time.monotonic() - began:.0f} s", flush=True)
    _print(found)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "scale.json").write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    return 0


def _print(found: list[Bend]) -> None:
    table = Table("", *(f"{one.jobs:,} jobs" for one in found))
    for name, unit in (
        ("memory", "MB"), ("take_over", "s"), ("resync", "s"), ("decides", "/s"), ("task_update", "us"),
        ("flink_answer", "us"), ("edit", "us"), ("record", "bytes"), ("status", "bytes"), ("spec", "bytes"),
    ):  # fmt: skip
        table.add_row(f"{name.replace('_', ' ')} ({unit})", *(f"{getattr(one, name):,.4g}" for one in found))
    Console(width=None if sys.stdout.isatty() else 130).print(table)


if __name__ == "__main__":
    sys.exit(main())
