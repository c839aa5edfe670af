"""The operator's own settings that deciding needs, and the strategies that it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.model.record import Restarts
from reconciler.model.retry import Retries
from reconciler.model.spec import Restart


class RestartStrategy(Protocol):
    """A plugin (entry point group `weir.restart`): when to try again after a failure."""

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        `restarts` already counts the failure at hand: `restarts.attempt` is 1 for the first.
        `seed` is the same for the same attempt under every leader; jitter is derived from it
        (`reconciler.model.ids.fraction`), never from chance.
        """
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of the operator, the same for every job."""

    storage: str
    """URI of a durable directory that every agent reaches: checkpoints, HA data, default savepoints."""
    restart_strategies: Mapping[str, RestartStrategy] = field(default_factory=dict)
    silence_s: float = 10.0
    """How long a process may be silent before we say that we cannot see it, and ask Mesos about it."""
    lost_grace_s: float = 10.0
    """How long an unreachable TaskManager is waited for before it is replaced."""
    retries: Retries | None = None
    """How soon calls that failed are made again, where an administrator has chosen that."""
    kill_retry_s: float = 10.0
    kill_grace_s: float = 10.0
    stop_patience_s: float = 60.0
    """How long a job that does not run is waited for before an upgrade uses its checkpoints instead."""
    stop_retry_s: float = 10.0
    disruptions: int = 50
    """How many generations are ended and tasks of running ones killed at most within `disruption_interval_s` (S7)."""
    disruption_interval_s: float = 60.0
    moves: int = 2
    """So many jobs at once leave drained agents."""
    maintenance_lead_s: float = 600.0
    """So long before a maintenance window of Mesos its agent takes nothing new, and what is there moves away."""
    standby_up_s: float = 10.0
    """How long a JobManager has to run before the one that it stands in for may go."""
    prestart_offer_s: float = 5.0
    """How long an upgrade waits for offers that hold the next generation beside the one that runs."""
    prestart_up_s: float = 30.0
    """How long it waits for the processes of the next generation to come up."""
    tombstone_s: float = 30 * 86400.0
    """How long the final path of a deleted job is kept."""
    flink_defaults: Callable[[str], dict[str, str]] = lambda _: {}
    """By `flinkVersion`: the operator's own `flinkConfiguration`, which a generation keeps for its life."""
    allowed_state: tuple[str, ...] | None = None
    """Places below which a savepoint has to be that a person names; None: anywhere."""
    flink_stale_s: float = 30.0
    """A Flink answer older than this says nothing about now."""

    def savepoint_dir(self, configured: str | None, uid: str, generation: int, trigger_id: str) -> str:
        """The trigger's own target directory, so that its savepoint is found even if Flink forgot it."""
        base = (configured or f"{self.storage}/savepoints").rstrip("/")
        return f"{base}/{uid}/{generation}/{trigger_id}"
