"""One seed, one run, one result.

A third of the seeds are *chains*: steps that wait for each other under faults of the operator's own
side, whose effects are then counted against a run without faults (L2). The others are *storms*:
edits and faults of every kind at any moment.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import structlog

from tests.simulation import drains, faults, outcome, sessions, workload
from tests.simulation.monitor import Monitor, Violation
from tests.simulation.simulator import Storm
from tests.simulation.users import PRESTARTED
from tests.simulation.world import World

SETTLE_S = 300.0
NOISE_S = 150.0
STORM_S = 45.0
STEP_S = 14.0
CHAIN_EVERY = 3
NAME = "orders"


@dataclass(slots=True)
class Result:
    """What became of one seed."""

    seed: int
    faults: int
    violations: list[str]
    trace: list[str] = field(default_factory=list)
    steps: int = 0
    elapsed: float = 0.0


@contextmanager
def quiet_logs(world: World) -> Iterator[None]:
    """The shipped code's log goes into the trace, or nowhere."""
    before = structlog.get_config()

    def to_trace(_: Any, method: str, event: Any) -> Any:
        name = event.pop("event")
        if event.get("exc_info"):
            world.monitor.violation("LOOP", f"{name}: {event['exc_info']!r} {traceback.format_exc(limit=-3)}")
        world.sim.say("log", f"{name} {' '.join(f'{key}={value}' for key, value in event.items())}")
        raise structlog.DropEvent

    level = 20 if world.sim.trace is not None else 40
    structlog.configure(
        processors=[to_trace],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def run(
    seed: int, *, trace: bool = False, until_broken: bool = False, session: bool = False, prestart: bool = False
) -> Result:
    """Simulate one seed; with `until_broken` only up to the first violation.

    With `session` a session and its jobs, with `prestart` jobs whose next generation is started beforehand.
    """
    world = _world(seed, trace=trace, prestart=prestart)
    world.monitor.stop_at_first = until_broken
    with quiet_logs(world), suppress(Violation):
        try:
            if session:
                _session_storm(world)
            elif seed % CHAIN_EVERY == 0:
                _chain(world, workload.CHAINS[world.rng.randrange(len(workload.CHAINS))], prestart)
            else:
                _storm(world)
        except Storm as storm:
            world.monitor.violation("L1", str(storm))
    return result_of(world)


def _world(seed: int, *, trace: bool = False, prestart: bool = False) -> World:
    world = World(seed, trace=trace)
    if prestart:
        world.users.base = PRESTARTED
    return world


def run_under(seed: int, kinds: Sequence[faults.Fault], count: int, edits: int, *, trace: bool = False) -> Result:
    """Simulate one job with edits at any moment under so many faults of these kinds only."""
    world = World(seed, trace=trace)
    with quiet_logs(world), suppress(Violation):
        try:
            workload.schedule(world, [NAME], edits, STORM_S)
            faults.schedule(world, tuple(kinds), count, STORM_S)
            _blow_over(world)
        except Storm as storm:
            world.monitor.violation("L1", str(storm))
    return result_of(world)


def result_of(world: World) -> Result:
    world.monitor.stop_at_first = False
    world.monitor.look()
    return Result(
        world.seed, world.faults, world.monitor.violations, world.sim.trace or [], world.sim.steps, world.sim.elapsed
    )


def _storm(world: World) -> None:
    rng = world.rng
    names = [NAME] if rng.random() < 0.7 else [NAME, "clicks"]
    workload.schedule(world, names, rng.randint(1, 6), STORM_S)
    faults.schedule(world, (*faults.OPERATOR, *faults.WORLD), rng.randint(2, 10), STORM_S)
    drains.schedule(world, STORM_S)
    _blow_over(world)


def _blow_over(world: World) -> None:
    """What was planned happens; then every fault ends, and the world comes to rest."""
    rng = world.rng
    world.run(STORM_S + rng.random() * 5)
    faults.heal(world)
    drains.heal(world)
    _must_settle(world)
    _must_be_silent(world)


def _session_storm(world: World) -> None:
    rng = world.rng
    sessions.schedule(world, rng.randint(1, 8), STORM_S)
    faults.schedule(world, (*faults.OPERATOR, *faults.WORLD), rng.randint(2, 10), STORM_S)
    drains.schedule(world, STORM_S)
    world.run(STORM_S + rng.random() * 5)
    faults.heal(world)
    drains.heal(world)
    for name in sessions.JOBS:
        sessions.correct(world, name)
    if not _must_settle(world):
        return
    if rng.random() < 0.3:
        sessions.delete_all(world)
        _must_settle(world)
    _must_be_silent(world)


def _chain(world: World, steps: Sequence[str], prestart: bool) -> None:
    rng = world.rng
    for step in steps:
        workload.STEPS[step](world, NAME)
        faults.schedule(world, faults.OPERATOR, rng.randint(1, 3), STEP_S * 0.8)
        world.run(STEP_S)
        faults.heal(world)
        if not _must_settle(world):
            return
    _must_be_silent(world)
    compare(world.monitor, fault_free(tuple(steps), prestart))


def run_steps(world: World, steps: Sequence[str]) -> None:
    """The steps of a chain, each begun when the one before is complete; no faults but those planned already."""
    for step in steps:
        workload.STEPS[step](world, NAME)
        world.run(1.0)
        if not _must_settle(world):
            return
    _must_be_silent(world)


def compare(monitor: Monitor, wanted: Counter[tuple[object, ...]]) -> None:
    """L2: what was started and asked for equals the fault-free run."""
    done = effects_of(monitor)
    if done != wanted:
        more, less = done - wanted, wanted - done
        monitor.violation("L2", f"against the fault-free run: too many {dict(more)}, too few {dict(less)}")


def effects_of(monitor: Monitor) -> Counter[tuple[object, ...]]:
    counted: Counter[tuple[object, ...]] = Counter()
    counted.update({("start", *key[1:]): count for key, count in (monitor.started - monitor.retried).items()})
    counted.update({("flink", kind): count for kind, count in monitor.asked.items()})
    return counted


@cache
def fault_free(steps: tuple[str, ...], prestart: bool = False) -> Counter[tuple[object, ...]]:
    """The effects of these steps when nothing goes wrong."""
    world = _world(0, prestart=prestart)
    with quiet_logs(world):
        run_steps(world, steps)
    assert not world.monitor.violations, world.monitor.violations
    return effects_of(world.monitor)


def _must_settle(world: World) -> bool:
    why = outcome.settle(world, SETTLE_S)
    if why is not None:
        world.monitor.violation("L1", f"not settled {SETTLE_S:g} s after the last fault: {why}")
    return why is None


def _must_be_silent(world: World) -> None:
    if world.monitor.violations:
        return
    why = outcome.noise(world, NOISE_S)
    if why:
        world.monitor.violation("L1", why)
