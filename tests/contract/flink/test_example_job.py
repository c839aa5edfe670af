"""No row of the demo's job is lost or written twice, whatever happens to its processes."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reconciler.model.record import Role

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

World = Any


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    path = Path(__file__).parents[3] / "examples" / "check_even_ids.py"
    spec = importlib.util.spec_from_file_location("check_even_ids", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Feeder:
    """Renames ten rows into the job's directory every 100 ms."""

    def __init__(self, world: World, record: Any, first: int) -> None:
        self._world, self._record, self._next = world, record, first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            rows = [{"id": i, "value": f"v{i}"} for i in range(self._next, self._next + 10)]
            self._next += 10
            self._world.feed(self._record, "".join(json.dumps(row) + "\n" for row in rows))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def fed(real: World) -> Iterator[tuple[Any, Feeder]]:
    """A job whose input grows until the test stops the feeder."""
    record = real.new_job()
    feeder = Feeder(real, record, 1000)
    yield record, feeder
    feeder.stop()


def test_rows_survive_kills_an_upgrade_and_another_parallelism(
    real: World, fed: tuple[Any, Feeder], checker: ModuleType
) -> None:
    job, feeder = fed
    source, sink = real.input(job), real.input(job).with_name("out")
    recovering = {"restart-strategy.type": "exponential-delay"}

    first = real.start(job, real.generation(job, 1, config=recovering))
    real.until_running(first, checkpoints=3)
    real.kill(first, Role.TASK_MANAGER)
    real.add_task_manager(first)
    real.until(first, "restarted", lambda seen: seen.flink_restarts > 0 or not seen.vertices_running)
    real.until_running(first, checkpoints=4)
    _, stop = real.stopped(first)
    real.kill(first)

    second = real.start(job, real.generation(job, 2, real.savepoint(stop.path, 1), 2, recovering), task_managers=2)
    seen = real.until(second, "running on two", lambda seen: seen.vertices_running and seen.parallelism == 2)
    assert seen.restored_from == stop.path
    real.until_running(second, checkpoints=2)
    real.kill(second, Role.JOB_MANAGER)
    second = real.replace_job_manager(second)
    real.until_running(second, checkpoints=2)
    feeder.stop()

    deadline = time.monotonic() + 60
    result = checker.compare(source, sink)
    while not result.complete and time.monotonic() < deadline:
        assert result.consistent, result
        time.sleep(0.5)
        result = checker.compare(source, sink)
    real.kill(second)
    assert result.complete, result
    assert result.committed > 100
