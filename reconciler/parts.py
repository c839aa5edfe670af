"""Everything that a leader's loop talks to, in one value, so that wiring is one place and a simulation another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.model.events import ParsedSpec, RawSpec
from reconciler.model.policy import Policy
from reconciler.model.resources import PlacementStrategy
from reconciler.ports import Clock, Cluster, Flink, Notify, Renderer, Runner, Store
from reconciler.slices import SLICE
from reconciler.view import Observer


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the loop talks to, and the strategies that it was configured with."""

    store: Store
    cluster: Cluster
    flink: Flink
    renderer: Renderer
    runner: Runner
    clock: Clock
    policy: Policy
    parse: Callable[[RawSpec], ParsedSpec]
    placement: Mapping[str, PlacementStrategy] = field(default_factory=dict)
    notify: Notify | None = None
    observer: Observer | None = None
    handover_s: float = 60.0
    """How long a leader looks for a Mesos master before it lets another replica try, in seconds."""
    slice_size: int = SLICE
    """How many jobs are looked at between two events when all of them are to be."""
