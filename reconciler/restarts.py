"""The restart budget: counting failures and asking the strategy when to try again."""

from __future__ import annotations

import math
from dataclasses import replace

from reconciler.model.record import Restarts
from reconciler.turn import Turn

RECENT_KEPT = 64
DEFAULT_DELAY_S = 10.0
"""Used when a strategy raises or answers nonsense: a broken plugin must not stop or storm anything (fault 57)."""


def charge(turn: Turn, reason: str) -> None:
    """Count one failure and set when its replacement may be placed."""
    config = turn.spec.restart
    before = turn.record.restarts
    since = None if before.last_failure_at is None else turn.now - before.last_failure_at
    attempt = 1 if since is None or since > config.reset_after else before.attempt + 1
    restarts = Restarts(
        total=before.total + 1,
        attempt=attempt,
        last_failure_at=turn.now,
        recent=(*before.recent, turn.now)[-RECENT_KEPT:],
        reason=reason[:500],
    )
    delay = _ask(turn, restarts)
    if delay is None:
        turn.update(restarts=restarts)
        turn.block(
            "RESTARTS_EXHAUSTED",
            f"the restart strategy {config.strategy} gave up after: {reason[:300]}. "
            "Change the spec (restartNonce is enough) to try again",
        )
        return
    turn.update(restarts=replace(restarts, next_at=turn.now + delay))


def _ask(turn: Turn, restarts: Restarts) -> float | None:
    name = turn.spec.restart.strategy
    strategy = turn.policy.restart_strategies.get(name)
    problem = "is not installed"
    if strategy is not None:
        try:
            delay = strategy.delay(turn.spec.restart, restarts, turn.now, f"{turn.record.uid}/{restarts.total}")
            if delay is None:
                return None
            if isinstance(delay, int | float) and math.isfinite(delay) and 0 <= delay <= 86400:
                return float(delay)
            problem = f"answered {delay!r}, which is not a number of seconds between 0 and 86400"
        except Exception as error:
            problem = f"raised {type(error).__name__}: {error}"
    turn.event("STRATEGY_FAILED", f"restart strategy {name} {problem}; waiting {DEFAULT_DELAY_S:g} s", warning=True)
    return DEFAULT_DELAY_S
