"""When a call that failed is made again: what a retry policy is asked (entry point group `weir.retry`).

Calls follow from state, so none is ever given up: a policy says how soon, not whether.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Settings = Mapping[str, str]
"""The policy's part of the operator's configuration, `[retry.TARGET]`, less the name of the policy."""

TARGETS = ("flink", "mesos", "zookeeper")


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that failed."""

    target: str
    """Of `TARGETS`."""
    call: str
    """Its kind, such as "kill", "stop", "savepoint", "cleanup", "subscribe", "commit"."""
    attempt: int
    """1 for the first failure in a row."""
    seed: str
    """The same for the same call and attempt under every leader; jitter is derived from it, never from chance."""
    error: str = ""
    """What was said, in one line."""


class RetryPolicy(Protocol):
    """A plugin, made once for each target from its settings."""

    def delay(self, failure: Failure) -> float | None:
        """Seconds until the call is made again; None: trying again soon repairs nothing, wait as long as is allowed."""
        ...


class Retries(Protocol):
    """The policies as the operator was configured with them."""

    def delay(self, failure: Failure) -> float | None:
        """Seconds from 0 to 60; None: nothing is configured for the target, its caller waits as it always does.

        Never raises.
        """
        ...
