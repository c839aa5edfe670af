"""The retry policies of an installation: chosen by target, and kept from doing harm.

A policy is asked on the loop's own thread, so one of another package is given up when it does not
answer in time. One that raises or answers nonsense counts as none: the caller waits as it always does,
and the log says so (fault 57).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import structlog

from plugins import registry
from plugins.guard import Bounded
from reconciler.model.retry import TARGETS, Failure, RetryPolicy, Settings

log = structlog.get_logger("weir.retries")

LONGEST_S = 60.0
"""However long a policy wants to wait, and for what it does not think worth trying again."""
DEFAULT = "exponential"
TELL_EVERY_S = 60.0


def build(configured: Mapping[str, Settings]) -> ConfiguredRetries:
    """`configured`: by target, its settings, with the policy's name as `policy`. Raises registry.PluginError."""
    made: dict[str, RetryPolicy] = {}
    for target, settings in configured.items():
        if target not in TARGETS:
            raise registry.PluginError(f"retry.{target}: there is no such target; there are: {', '.join(TARGETS)}")
        name = settings.get("policy", DEFAULT)
        create = registry.factory(registry.RETRY, name)
        try:
            policy = create({key: value for key, value in settings.items() if key != "policy"})
        except (Exception, SystemExit) as error:
            raise registry.PluginError(f"retry.{target}: {error}") from error
        if not callable(getattr(policy, "delay", None)):
            raise registry.PluginError(f"retry.{target}: the plugin {name} has no method delay")
        made[target] = policy
    return ConfiguredRetries(made)


class ConfiguredRetries:
    """`reconciler.model.retry.Retries`. Safe to use from several threads."""

    def __init__(self, policies: Mapping[str, RetryPolicy]) -> None:
        self._policies = policies
        self._bounds = {target: Bounded(f"retry.{target}") for target in policies}
        self._told_at: dict[str, float] = {}

    def has(self, target: str) -> bool:
        return target in self._policies

    def delay(self, failure: Failure) -> float | None:
        policy = self._policies.get(failure.target)
        if policy is None:
            return None
        try:
            answer = self._bounds[failure.target].ask(lambda: policy.delay(failure))
            if answer is None:
                return LONGEST_S
            number = isinstance(answer, int | float) and not isinstance(answer, bool)
            if not number or not math.isfinite(answer) or answer < 0:
                raise ValueError(f"it answered {answer!r:.80}, which is not a number of seconds")
        except (Exception, SystemExit) as error:
            self._tell(failure.target, error)
            return None
        return min(float(answer), LONGEST_S)

    def _tell(self, target: str, error: BaseException) -> None:
        now = time.monotonic()
        if now - self._told_at.get(target, float("-inf")) > TELL_EVERY_S:
            self._told_at[target] = now
            log.error("plugin.retry_failed", target=target, error=f"{type(error).__name__}: {error}"[:500])
