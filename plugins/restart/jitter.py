"""Jitter without chance: the same attempt waits equally long under every leader."""

from __future__ import annotations

from reconciler.model.ids import fraction
from reconciler.model.record import Restarts
from reconciler.model.spec import Restart


def jittered(wait: float, config: Restart, restarts: Restarts, seed: str) -> float:
    """`wait` seconds, ± `restart.jitter` of it, so that many jobs do not come back at once (S7)."""
    spread = (2.0 * fraction("jitter", seed, restarts.attempt) - 1.0) * config.jitter
    return max(0.0, wait * (1.0 + spread))
