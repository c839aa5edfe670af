"""Retry policies: what ours answer, what becomes of a bad one, and that calls wait as they say (f57)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from integration.flink.fake import FakeFlink, fake_renderer
from integration.mesos.config import MesosConfig
from integration.mesos.stream import backoff
from plugins import retries
from plugins.registry import PluginError
from plugins.retries import ConfiguredRetries
from plugins.retry.exponential import Exponential
from plugins.retry.fixed import Fixed
from reconciler.effects import PAUSE_S, Effects
from reconciler.jobs import JobEntry
from reconciler.model.decision import DiscardSavepoint
from reconciler.model.policy import Policy
from reconciler.model.retry import Failure


def failed(attempt: int = 1, seed: str = "stop/1", error: str = "the read timed out") -> Failure:
    return Failure("flink", "stop", attempt, seed, error)


def test_exponential_doubles_up_to_its_longest_wait() -> None:
    policy = Exponential({"initial": "500ms", "max": "3s", "jitter": "0"})

    assert [policy.delay(failed(n)) for n in (1, 2, 3, 4, 1000)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_fixed_waits_the_same_within_its_attempts() -> None:
    policy = Fixed({"delay": "2s", "jitter": "0", "attempts": "2"})

    assert [policy.delay(failed(n)) for n in (1, 2, 3)] == [2.0, 2.0, None]


def test_jitter_is_a_hash_and_the_same_under_every_leader() -> None:
    one, other = Fixed({"delay": "10s", "jitter": "0.5"}), Fixed({"delay": "10s", "jitter": "0.5"})

    waits = [one.delay(failed(seed=f"stop/{n}")) for n in range(20)]
    assert waits == [other.delay(failed(seed=f"stop/{n}")) for n in range(20)]
    assert len(set(waits)) > 15
    assert all(10.0 <= wait <= 15.0 for wait in waits if wait is not None)


def test_only_retryable_errors_are_tried_again_soon() -> None:
    policy = Exponential({"retryable": "*timed out*, *refused*", "jitter": "0"})

    assert policy.delay(failed(error="connection refused")) == 1.0
    assert policy.delay(failed(error="no such bucket")) is None


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ({"kafka": {}}, "no such target; there are: flink, mesos, zookeeper"),
        ({"flink": {"policy": "linear"}}, "no plugin linear in weir.retry; there are: exponential, fixed"),
        ({"flink": {"dealy": "1s"}}, "retry.flink: there is no setting dealy; there are: initial"),
        ({"flink": {"initial": "soon"}}, "retry.flink: initial: "),
        ({"flink": {"multiplier": "0.5"}}, "multiplier is a number from 1 to 100"),
        ({"flink": {"attempts": "many"}}, 'attempts is a number, not "many"'),
        ({"flink": {"jitter": "nan"}}, "jitter is a number from 0 to 1"),
    ],
)
def test_what_cannot_be_configured_stops_the_operator_at_its_start(configured: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        retries.build(configured)


class Answers:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def delay(self, failure: Failure) -> Any:
        return self._answer()


def boom() -> float:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    "answer", [boom, lambda: -1, lambda: float("nan"), lambda: "soon", lambda: True, lambda: exit()]
)
def test_f57_a_policy_that_raises_or_answers_nonsense_counts_as_none_and_is_told_once(
    answer: Callable[[], Any],
) -> None:
    found = ConfiguredRetries({"flink": Answers(answer)})

    with capture_logs() as logs:
        assert [found.delay(failed()) for _ in range(3)] == [None] * 3
    assert [log["event"] for log in logs] == ["plugin.retry_failed"]


def test_f57_a_policy_that_does_not_answer_holds_nothing_up() -> None:
    found = ConfiguredRetries({"flink": Answers(lambda: time.sleep(5))})

    start = time.monotonic()
    assert [found.delay(failed()) for _ in range(5)] == [None] * 5
    assert time.monotonic() - start < 4


def test_no_wait_is_longer_than_a_minute_and_none_means_that() -> None:
    assert ConfiguredRetries({"flink": Answers(lambda: 1e9)}).delay(failed()) == retries.LONGEST_S
    assert ConfiguredRetries({"flink": Answers(lambda: None)}).delay(failed()) == retries.LONGEST_S
    assert ConfiguredRetries({}).delay(failed()) is None


# Where they are asked


def waits(policy: Policy, errors: list[str | None]) -> list[float]:
    """How long the key of one effect rests after each of these outcomes."""
    effects = Effects(None, FakeFlink(), fake_renderer(), policy, lambda lane, call: None)  # type: ignore[arg-type]
    effect, entry, now, found = DiscardSavepoint("file:/sp/savepoint-1"), JobEntry("orders"), 0.0, []
    for error in errors:
        assert effects.release(entry, [effect], now) is None
        effects.done(effect.key, now, error)
        again = effects.release(entry, [effect], now)
        assert again is not None
        found.append(again - now)
        now = again
    return found


def test_effects_wait_as_the_policy_of_their_target_says_and_begin_anew_after_a_success() -> None:
    chosen = retries.build({"flink": {"initial": "1s", "multiplier": "4", "jitter": "0"}})

    assert waits(Policy("file:///s", retries=chosen), ["down", "down", "down", None, "down"]) == [1, 4, 16, PAUSE_S, 1]


def test_without_a_policy_effects_wait_as_they_always_did() -> None:
    other = retries.build({"mesos": {}})

    assert waits(Policy("file:///s"), ["down", "down"]) == [PAUSE_S, PAUSE_S]
    assert waits(Policy("file:///s", retries=other), ["down", "down"]) == [PAUSE_S, PAUSE_S]


def test_f30_subscribing_waits_as_the_policy_says_but_never_longer_than_its_bound() -> None:
    chosen = retries.build({"mesos": {"policy": "exponential", "initial": "2s", "max": "50s", "jitter": "0"}})
    config = MesosConfig(
        user="flink",
        resubscribe_after=lambda failures, seed: chosen.delay(Failure("mesos", "subscribe", failures, seed)),
    )

    assert [backoff(config, failures, "weir", "m:5050") for failures in (1, 2, 3, 9)] == [2.0, 4.0, 8.0, 15.0]
    assert backoff(MesosConfig(user="flink"), 1, "weir", "m:5050") <= 0.1
