"""The restart budget: counting failures and asking the strategy when to try again.

What is counted is persisted in `Record.restarts`, so a new leader goes on with the same budget
(fault 58). Failures that are seen while a back-off runs have nothing new to say: they belong to the
attempt that it delays (as Flink's exponential-delay strategy has merged them since FLIP-364), so an
agent that takes five tasks along costs one attempt and not five.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.reasons import Reason
from reconciler.model.record import FailedAgent, Restarts, Task
from reconciler.turn import Turn

RECENT_KEPT = 64
AGENTS_KEPT = 16
AVOID_S = 300.0
"""How long placing avoids an agent on which a task of the job failed, where it has the choice."""
LONGEST_DELAY_S = 86400.0
DEFAULT_DELAY_S = 10.0
"""Used when a strategy raises or answers nonsense: a broken plugin must not stop or storm anything (fault 57)."""
RELAUNCH_S = 60.0
"""A task that is wanted this soon after a back-off is a relaunch, also when another generation wants it."""
EXHAUSTED = Reason.RESTARTS_EXHAUSTED


def charge(turn: Turn, reason: str, agent_id: str | None = None) -> None:
    """Count one failure and set when its replacement may be placed."""
    before, now = turn.record.restarts, turn.now
    failed = before.failed_agents
    if agent_id is not None:
        others = tuple(each for each in failed if each.agent_id != agent_id and now - each.at <= AVOID_S)
        failed = (*others, FailedAgent(agent_id, now))[-AGENTS_KEPT:]
    counted = replace(before, total=before.total + 1, last_failure_at=now, reason=reason[:500], failed_agents=failed)
    if turn.record.blocked == EXHAUSTED or _in_back_off(before, now):
        turn.update(restarts=counted)
        return
    afresh = before.gave_up or _over(before, now, turn.spec.restart.reset_after)
    attempt = 1 if afresh else before.attempt + 1
    recent = () if before.gave_up else before.recent
    counted = replace(counted, attempt=attempt, recent=(*recent, now)[-RECENT_KEPT:], gave_up=False)
    delay, problem = _ask(turn, counted)
    if delay is None and turn.generation.ending is not None:
        delay = DEFAULT_DELAY_S  # its last savepoint is still wanted, so its tasks are
    if delay is None:
        turn.update(restarts=replace(counted, gave_up=True, next_at=now, delay=0.0, problem=None))
        if turn.record.blocked is None:
            turn.block(
                EXHAUSTED,
                f"the restart strategy {turn.spec.restart.strategy} gave up after: {reason[:300]}. "
                f"To try again: weir restart {turn.record.name} (or change the spec; restartNonce is enough)",
            )
        return
    turn.update(restarts=replace(counted, next_at=now + delay, delay=delay, problem=problem))


def not_before(turn: Turn) -> float:
    """When a replacement may be placed. A clock that was set back does not make it wait longer (fault 59)."""
    restarts = turn.record.restarts
    return min(restarts.next_at, turn.now + restarts.delay)


def recently_failed(restarts: Restarts, now: float) -> frozenset[str]:
    """Agents that placing avoids, where it has the choice."""
    return frozenset(each.agent_id for each in restarts.failed_agents if abs(now - each.at) <= AVOID_S)


def is_relaunch(restarts: Restarts, task: Task) -> bool:
    """True for a task that is wanted because something failed, not because somebody asked for it.

    Every failure that is remembered counts: a task that waits for its turn when the next one fails is
    still a relaunch. Back-offs grow, so the latest delay bounds the earlier ones.
    """
    last = () if restarts.last_failure_at is None else (restarts.last_failure_at,)
    window = restarts.delay + RELAUNCH_S
    return any(failed_at <= task.wanted_at <= failed_at + window for failed_at in (*restarts.recent, *last))


def _in_back_off(before: Restarts, now: float) -> bool:
    """True while the last failure's replacement is not due yet. A time in the future proves nothing (fault 59)."""
    if before.last_failure_at is None or before.gave_up:
        return False
    return now == before.last_failure_at or before.last_failure_at < now < before.next_at


def _over(before: Restarts, now: float, reset_after: float) -> bool:
    """True when the job went well for so long that this failure is the first again; back-offs do not count."""
    if before.last_failure_at is None:
        return True
    return now - max(before.last_failure_at, before.next_at) > reset_after


def _ask(turn: Turn, restarts: Restarts) -> tuple[float | None, str | None]:
    """Seconds to wait, or None to give up; and what is wrong with the strategy, if anything is."""
    name = turn.spec.restart.strategy
    strategy = turn.policy.restart_strategies.get(name)
    kind, detail = "is not installed", ""
    if strategy is not None:
        # A copy: options are a dict, and what is persisted must not change under anybody's hands.
        config = turn.spec.restart.model_copy(deep=True)
        try:
            delay = strategy.delay(config, restarts, turn.now, f"{turn.record.uid}/{restarts.total}")
            if delay is None:
                return None, None
            # bool is an int; nan, inf and ints beyond float fail the comparison, not the conversion.
            if isinstance(delay, int | float) and not isinstance(delay, bool) and 0 <= delay <= LONGEST_DELAY_S:
                return float(delay), None
            kind = "answered no number of seconds between 0 and 86400"
            detail = f" but {_shown(delay)}"
        except (Exception, SystemExit) as error:
            kind, detail = f"raised {type(error).__name__}", f": {_shown(error)}"
    problem = f"{name} {kind}"
    if problem != turn.record.restarts.problem:
        said = f"restart strategy {problem}{detail}; waiting {DEFAULT_DELAY_S:g} s after each failure"
        turn.event(Reason.STRATEGY_FAILED, said, warning=True)
    return DEFAULT_DELAY_S, problem


def _shown(value: object) -> str:
    """At most 200 characters of a plugin's answer, whose own `__str__` may be broken too."""
    try:
        return (str(value) if isinstance(value, BaseException) else repr(value))[:200]
    except Exception:
        return f"a {type(value).__name__}"
