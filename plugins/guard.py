"""What stands between the loop and restart strategies of other packages: a time-out.

A strategy is asked on the loop's own thread. One of ours is a few lines of arithmetic; another's may
wait for a lock or count to a billion. So it is asked on a thread of its own and given up after
`LIMIT_S`; from then on it is not asked again for `REST_S`, or every failure would cost that long.
`reconciler.restarts` puts its default in for a strategy that raises (fault 57).

Placement strategies are asked once per task and agent, too often for a thread each: their time is
measured, and one that is slow is named in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TypeVar

import structlog

from reconciler.model.policy import RestartStrategy
from reconciler.model.record import Restarts
from reconciler.model.resources import Candidate, PlacementStrategy, TaskRequest
from reconciler.model.spec import Restart

log = structlog.get_logger("weir.plugins")

T = TypeVar("T")

LIMIT_S = 0.5
REST_S = 600.0
SLOW_RANK_S = 0.01
TELL_EVERY_S = 60.0


class StrategyTimedOut(Exception):
    """The strategy did not answer in time, now or a short while ago."""


class Bounded:
    """Asks on a thread of its own, for a limited time; who was stuck once is not asked again for a while."""

    def __init__(self, name: str, limit_s: float = LIMIT_S, rest_s: float = REST_S) -> None:
        self._name = name
        self._limit_s = limit_s
        self._rest_s = rest_s
        self._rests_until = float("-inf")

    def ask(self, call: Callable[[], T]) -> T:
        """What `call` answers. Raises what it raises, and `StrategyTimedOut`."""
        if time.monotonic() < self._rests_until:
            raise StrategyTimedOut(f"did not answer within {self._limit_s:g} s")
        answers: list[T] = []
        errors: list[BaseException] = []

        def asked() -> None:
            try:
                answers.append(call())
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=asked, name=f"plugin-{self._name}", daemon=True)
        thread.start()
        thread.join(self._limit_s)
        if errors:
            raise errors[0]
        if answers:
            return answers[0]
        self._rests_until = time.monotonic() + self._rest_s
        log.error("plugin.stuck", plugin=self._name, limit_s=self._limit_s, not_asked_for_s=self._rest_s)
        raise StrategyTimedOut(f"did not answer within {self._limit_s:g} s")


class BoundedRestart:
    """A restart strategy that cannot hold up the loop."""

    def __init__(self, name: str, strategy: RestartStrategy, limit_s: float = LIMIT_S, rest_s: float = REST_S) -> None:
        self._strategy = strategy
        self._bounded = Bounded(name, limit_s, rest_s)

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        """What the strategy answers. Raises what it raises, and `StrategyTimedOut`."""
        return self._bounded.ask(lambda: self._strategy.delay(config, restarts, now, seed))


class TimedPlacement:
    """A placement strategy whose slowness is told."""

    def __init__(self, name: str, strategy: PlacementStrategy) -> None:
        self._name = name
        self._strategy = strategy
        self._told_at = float("-inf")

    def rank(self, request: TaskRequest, candidate: Candidate) -> Sequence[float]:
        start = time.monotonic()
        try:
            return self._strategy.rank(request, candidate)
        finally:
            now = time.monotonic()
            if now - start > SLOW_RANK_S and now - self._told_at > TELL_EVERY_S:
                self._told_at = now
                log.warning("plugin.slow", plugin=self._name, seconds=round(now - start, 3), job=request.job)
