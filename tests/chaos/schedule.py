"""Which fault strikes when: a function of the seed alone.

The first round has every class once, in an order of the seed's; the rounds after it draw at random. About half of the
faults that hit the job itself have a companion that strikes while the job is still recovering (a leader that dies in
the middle of an upgrade is worth more than one that dies in peace).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

CONTROL = (
    "leader-kill", "leader-pause", "leader-stop", "cut-zookeeper", "cut-mesos", "cut-both", "zookeeper-kill",
    "zookeeper-restart", "master-kill", "agent-restart",
)  # fmt: skip
"""Classes after which nothing of the job may be started."""
DATA = ("taskmanager-kill", "jobmanager-kill", "host-kill", "upgrade-savepoint", "upgrade-last-state", "rescale")
"""Classes that hit the job's own processes, or change what is wanted."""
CLASSES = CONTROL + DATA
CUTS = frozenset({"cut-zookeeper", "cut-mesos", "cut-both"})
"""Classes that need root."""


@dataclass(frozen=True)
class Blow:
    """One fault: its class, a number in [0, 1) that chooses the victim, and how long it lasts in seconds."""

    kind: str
    pick: float
    hold_s: float


@dataclass(frozen=True)
class Step:
    """After `calm_s` the first blow, and `gap_s` after it the second, if there is one; then everything is healed."""

    number: int
    calm_s: float
    blows: tuple[Blow, ...]
    gap_s: float

    def __str__(self) -> str:
        return " + ".join(blow.kind for blow in self.blows)


def steps(seed: int, without: frozenset[str] = frozenset()) -> Iterator[Step]:
    """The schedule of a seed, without end, and without some classes."""
    chance = random.Random(seed)
    numbers = count(1)
    classes = [kind for kind in CLASSES if kind not in without]
    control = [kind for kind in CONTROL if kind not in without]
    order = list(classes)
    chance.shuffle(order)
    while order:
        kinds = [order.pop()]
        companions = [kind for kind in order if kind in CONTROL]
        if kinds[0] in DATA and companions and chance.random() < 0.5:
            kinds.append(chance.choice(companions))
            order.remove(kinds[1])
        yield _step(next(numbers), kinds, chance)
    while True:
        kinds = [chance.choice(classes)]
        if chance.random() < 0.5:
            kinds.append(chance.choice([kind for kind in control if kind != kinds[0]]))
        yield _step(next(numbers), kinds, chance)


def _step(number: int, kinds: list[str], chance: random.Random) -> Step:
    blows = tuple(Blow(kind, chance.random(), round(chance.uniform(2.0, 7.0), 1)) for kind in kinds)
    return Step(number, round(chance.uniform(0.5, 2.5), 1), blows, round(chance.uniform(0.0, 3.0), 2))
