"""How soon Weir acts, on the real ZooKeeper and Mesos, beside the shortest program that does the same."""

from __future__ import annotations

import time
from collections.abc import Iterator

from reconciler.app.demo.harness import Installation
from tests.bench.figures import Figure, figure
from tests.bench.ground import Ground, ground, until
from tests.bench.wire import accept_of, launched, update_of

WRITES, FAILURES, WARM = 20, 20, 3
PAUSE_S = 0.3


def reaction() -> Iterator[Figure]:
    """A written spec, and a failed task."""
    with ground() as here:
        weir = here.weir()
        weir.start()
        until("a replica leads", weir.leader)
        yield from _desired(here, weir)
        yield from _failures(here, weir)
        weir.stop()


def _desired(here: Ground, weir: Installation) -> Iterator[Figure]:
    """From the begin of the user's write to the first byte of the ACCEPT that launches its two tasks."""
    samples, floors = [], []
    here.users.ensure_path("/bare")
    for number in range(WRITES + WARM):
        time.sleep(PAUSE_S)
        floors.append(_bare_desired(here, f"floor-{number}"))
        time.sleep(PAUSE_S)
        name, mark = f"bench-{number}", here.wire.calls.mark()
        # Once its JobManager is gone it is given up, so that nobody goes on polling a Flink that is not there.
        began = here.put(weir.root, name, restart={"strategy": "none"})
        samples.append(here.wire.calls.first(mark, accept_of(f"{name}."), f"the ACCEPT of {name}").at - began)
        here.end_task(f"{name}.", ".jm.")
    yield figure(
        "spec written to ACCEPT sent", "ms", _ms(samples[WARM:]), "<= 2 x and <= 30 ms more", _within(2.0, 30.0),
        _ms(floors[WARM:]), "kazoo watch, raw ACCEPT",
    )  # fmt: skip


def _bare_desired(here: Ground, name: str) -> float:
    with here.floor("desired", here.wire.address, here.stack.zk, "/bare", name):
        mark, began = here.wire.calls.mark(), time.perf_counter()
        here.users.create(f"/bare/{name}", b'{"flinkVersion": "2.2"}')
        found = here.wire.calls.first(mark, accept_of(f"{name}."), f"the ACCEPT of {name}").at - began
        here.users.delete(f"/bare/{name}")
    return found


def _failures(here: Ground, weir: Installation) -> Iterator[Figure]:
    """One TaskManager is killed again and again, with a back-off of 0."""
    accepts, runs, bare_accepts, bare_runs = [], [], [], []
    name, mark = "failing", here.wire.events.mark()
    calls = here.wire.calls.mark()
    here.put(weir.root, name)
    accepted = here.wire.calls.first(calls, accept_of(f"{name}."), f"the ACCEPT of {name}")
    task = next(each for each in launched(accepted.body) if ".tm." in each)
    here.wire.events.first(mark, update_of(task, "TASK_RUNNING"), f"{task} RUNNING")
    for number in range(FAILURES + WARM):
        time.sleep(PAUSE_S)
        with here.floor("relaunch", here.wire.address, f"bare-{number}"):
            accept_s, run_s, _ = _replaced(here, f"bare-{number}.1", f"bare-{number}.")
            bare_accepts.append(accept_s)
            bare_runs.append(run_s)
        time.sleep(PAUSE_S)
        accept_s, run_s, task = _replaced(here, task, task.rpartition(".")[0] + ".")
        accepts.append(accept_s)
        runs.append(run_s)
    yield figure(
        "task FAILED to ACCEPT of its replacement", "ms", _ms(accepts[WARM:]), "<= 15 ms",
        lambda median, _: median <= 15.0, _ms(bare_accepts[WARM:]), "raw scheduler",
    )  # fmt: skip
    yield figure(
        "task FAILED to replacement RUNNING", "ms", _ms(runs[WARM:]), "<= 1.3 x",
        lambda _, ratio: ratio is not None and ratio <= 1.3, _ms(bare_runs[WARM:]), "raw scheduler",
    )  # fmt: skip


def _replaced(here: Ground, task: str, prefix: str) -> tuple[float, float, str]:
    """Seconds from the news of the failure, as it comes from the master, to the ACCEPT and to RUNNING; the new task."""
    calls, events = here.wire.calls.mark(), here.wire.events.mark()
    here.end_task(task)
    failed = here.wire.events.first(events, update_of(task, "TASK_FAILED"), f"{task} FAILED")
    accepted = here.wire.calls.first(calls, accept_of(prefix), f"the ACCEPT after {task}")
    new = launched(accepted.body)[0]
    running = here.wire.events.first(events, update_of(new, "TASK_RUNNING"), f"{new} RUNNING")
    return accepted.at - failed.at, running.at - failed.at, new


def _within(times: float, more: float):  # type: ignore[no-untyped-def]
    def met(median: float, ratio: float | None) -> bool:
        return ratio is not None and ratio <= times and median - median / ratio <= more

    return met


def _ms(seconds: list[float]) -> list[float]:
    return [one * 1000 for one in seconds]
