"""What users do in a run: a chain of steps that each wait for the one before, or edits at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.simulation.users import INVALID

if TYPE_CHECKING:
    from tests.simulation.world import World

Step = Callable[["World", str], None]


def create(world: World, name: str) -> None:
    world.users.apply(name)


def edit(world: World, name: str) -> None:
    level = world.users.document(name).get("env", {}).get("LEVEL", "0")
    world.users.apply(name, env={"LEVEL": str(int(level) + 1)})


def scale(world: World, name: str) -> None:
    parallelism = world.users.document(name)["job"]["parallelism"]
    world.users.apply(name, job={"parallelism": parallelism % 3 + 1})


def suspend(world: World, name: str) -> None:
    world.users.apply(name, job={"state": "suspended"})


def resume(world: World, name: str) -> None:
    world.users.apply(name, job={"state": "running"})


def last_state(world: World, name: str) -> None:
    """An upgrade that kills and restores from the latest checkpoint."""
    world.users.apply(name, job={"upgradeMode": "last-state"}, env={"HOW": "last-state"})


def restart(world: World, name: str) -> None:
    world.users.apply(name, restartNonce=world.users.document(name).get("restartNonce", 0) + 1)


def savepoint(world: World, name: str) -> None:
    """A savepoint of the running job, on demand."""
    nonce = world.users.document(name)["job"].get("savepointTriggerNonce", 0)
    world.users.apply(name, job={"savepointTriggerNonce": nonce + 1})


def standby(world: World, name: str) -> None:
    world.users.apply(name, jobManager={"replicas": 2})


def dispose(world: World, name: str) -> None:
    """From now on savepoints go with the job."""
    world.users.apply(name, snapshots={"disposeOnDelete": True})


def delete(world: World, name: str) -> None:
    world.users.delete(name)


STEPS: Mapping[str, Step] = {
    step.__name__: step
    for step in (create, edit, scale, suspend, resume, last_state, restart, savepoint, standby, dispose, delete)
}
CHAINS: Sequence[Sequence[str]] = (
    ("create", "edit"),
    ("create", "last_state"),
    ("create", "suspend", "resume"),
    ("create", "scale"),
    ("create", "restart"),
    ("create", "delete"),
    ("create", "suspend", "delete"),
    ("create", "edit", "delete"),
    ("create", "savepoint", "edit"),
    ("create", "last_state", "edit"),
    ("create", "savepoint", "dispose", "delete"),
)
"""Workloads whose effects are counted (L2)."""


# At any moment


def flip(world: World, name: str) -> None:
    """49: A, then B, then A again, faster or slower than anybody looks."""
    before = world.users.document(name)
    edit(world, name)
    after = world.users.document(name)

    def back() -> None:
        if world.users.exists(name) and world.users.document(name) == after:
            world.users.put_back(name, before)

    world.sim.after(world.rng.random() ** 2 * 3, back)


def spoil(world: World, name: str) -> None:
    """50: an invalid version, corrected later or never."""
    before = world.users.document(name)
    world.users.spoil(name, world.rng.choice(INVALID))
    if world.rng.random() < 0.5:

        def correct() -> None:
            if world.users.exists(name) and world.users.document(name) == before:
                world.users.put_back(name, before)

        world.sim.after(world.rng.random() * 5, correct)


def recreate(world: World, name: str) -> None:
    """51: deleted and created again under the same name."""
    world.users.delete(name)

    def again() -> None:
        if not world.users.exists(name):
            world.users.apply(name)

    world.sim.after(world.rng.random() ** 2 * 4, again)


def choose_mode(world: World, name: str) -> None:
    mode = world.rng.choice(["savepoint", "savepoint", "last-state", "last-state", "stateless"])
    world.users.apply(name, job={"upgradeMode": mode})


def choose_delete(world: World, name: str) -> None:
    chosen = world.rng.choice(["savepoint", "cancel", "keep"])
    dispose = chosen != "keep" and int(world.sim.now * 1000) % 2 == 0
    world.users.apply(name, onDelete=chosen, snapshots={"disposeOnDelete": dispose})


def choose_strategies(world: World, name: str) -> None:
    """57: strategies that raise or answer nonsense."""
    world.users.apply(
        name,
        restart={"strategy": world.rng.choice(["exponential-delay", "broken"])},
        placement={"strategy": world.rng.choice(["spread", "broken"])},
    )


ANY: Sequence[Step] = (
    edit, edit, edit, scale, suspend, resume, resume, last_state, restart, savepoint, standby, delete, flip, flip,
    spoil, recreate, choose_mode, choose_delete, choose_strategies,
)  # fmt: skip


def schedule(world: World, names: Sequence[str], count: int, seconds: float) -> None:
    """Create the jobs and plan `count` edits within the next `seconds`."""
    for name in names:
        world.sim.after(world.rng.random() * 3, create, world, name)
    for _ in range(count):
        when = 3 + world.rng.random() * (seconds - 3)
        world.sim.after(when, _act, world, world.rng.choice(names), world.rng.choice(ANY))


def _act(world: World, name: str, step: Step) -> None:
    if world.users.exists(name):
        step(world, name)
    else:
        create(world, name)
