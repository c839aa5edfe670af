"""A crash of the leader right after every single call that it makes, one run per call.

The calls of a run without faults are counted first; then the same run is repeated with a crash
after the first call took effect, after the second, and so on, before the answer is back. Among the
calls are every persist and every effect, so each place where the write-ahead order, adoption or the
acknowledgement order could be wrong is visited (Sieve, OSDI'22: "intermediate state" tests).
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation import runs
from tests.simulation.world import World

WORKLOADS: Sequence[Sequence[str]] = (
    ("create", "edit", "delete"),
    ("create", "last_state"),
    ("create", "suspend", "resume"),
    ("create", "told", "paused_edit"),
    ("create", "savepoint"),
    ("create", "scale"),
    ("create", "recreate"),
    ("create", "lose_job_manager"),
    ("create", "lose_task_manager"),
    ("create", "job_fails"),
)


def enumerate_points(steps: Sequence[str]) -> dict[int, runs.Result]:
    """The result of a crash after each call, by the call's number."""
    counted = World(0)
    with runs.quiet_logs(counted):
        runs.run_steps(counted, steps)
    return {number: crash_after(steps, number) for number in range(1, counted.calls + 1)}


def crash_after(steps: Sequence[str], number: int, *, trace: bool = False) -> runs.Result:
    """The run of these steps with a crash after call `number`."""
    world = World(0, trace=trace)
    world.crash_at = number
    with runs.quiet_logs(world):
        runs.run_steps(world, steps)
        if not world.monitor.violations:
            runs.compare(world.monitor, runs.fault_free(tuple(steps)))
    return runs.result_of(world)
