"""What users do in a run: a chain of steps that each wait for the one before, or edits at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.model import ids
from reconciler.model.control import GLOBAL
from tests.simulation import faults
from tests.simulation.users import INVALID

if TYPE_CHECKING:
    from tests.simulation.world import World

JUNK = (b"", b"{", b"null", b'{"action": "explode"}', b'{"action": "fence"}', b'{"action": "confirm", "by": 1}')
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


def told(world: World, name: str) -> None:
    """A person says that the running job starts again from its newest state."""
    world.users.ask(name, "restore-from", latest=True)


def paused_edit(world: World, name: str) -> None:
    """An edit while everything is paused; nothing may happen before it goes on."""
    world.users.ask(GLOBAL, "pause")
    world.sim.after(3.0, edit, world, name)
    world.sim.after(8.0, world.users.unpause_all)


def recreate(world: World, name: str) -> None:
    """51: deleted and created again under the same name, faster than anybody looks."""
    world.users.delete(name)
    world.users.apply(name)


def lose_job_manager(world: World, name: str) -> None:
    _lose(world, name, "jm")


def lose_task_manager(world: World, name: str) -> None:
    _lose(world, name, "tm")


def _lose(world: World, name: str, role: str) -> None:
    """A process of the job dies on its own."""
    found = [
        task
        for task in sorted(world.mesos.running())
        if (parsed := ids.parse_task_id(task)) is not None
        if (parsed.job, parsed.role) == (name, role)
    ]
    faults.end_task(world, found[0])


def job_fails(world: World, name: str) -> None:
    """Flink gives the job up."""
    world.flink.advance(world.sim.now)
    cluster = next(c for c in world.flink.clusters.values() if c.active and c.cluster_id.startswith(f"{name}-"))
    world.flink.fail_job(cluster.job_id, "java.lang.RuntimeException: injected")


STEPS: Mapping[str, Step] = {
    step.__name__: step
    for step in (
        create, edit, scale, suspend, resume, last_state, restart, savepoint, standby, dispose, delete, told,
        paused_edit, recreate, lose_job_manager, lose_task_manager, job_fails,
    )
}  # fmt: skip
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
    ("create", "told", "edit"),
    ("create", "paused_edit"),
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


def recreate_slowly(world: World, name: str) -> None:
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


def ask_pause(world: World, name: str) -> None:
    """A pause of one job or of all, forgotten until later or never begun."""
    about = world.rng.choice([name, name, GLOBAL])
    world.users.ask(about, "pause")
    world.sim.after(world.rng.random() ** 2 * 20, world.users.ask, about, "unpause")


def ask_restore(world: World, name: str) -> None:
    """A person says what to start from; from then on older state may be started from."""
    known = sorted(path for path, found in world.flink.snapshots.items() if found.uid == world.users.uid(name))
    world.monitor.stateless.add(world.users.uid(name))
    choice = world.rng.random()
    if known and choice < 0.4:
        world.excuses.add("RESTORE_BLOCKED")  # Flink may drop the checkpoint before the job is stopped
        world.users.ask(name, "restore-from", path=world.rng.choice(known))
    elif choice < 0.8:
        world.users.ask(name, "restore-from", latest=True)
    else:
        world.users.ask(name, "restore-from", empty=True)


def ask_rollback(world: World, name: str) -> None:
    world.users.ask(name, "rollback")


def ask_force(world: World, name: str) -> None:
    """The savepoint that an ending waits for is given up: what was not stored yet is lost with it."""
    world.users.ask(name, "force")


def ask_fence(world: World, name: str) -> None:
    """A generation of which nothing runs is declared dead: what a person may do who has looked."""
    record = world.monitor.record(name)
    if record is None or record.generation is None:
        return
    number = record.generation.number
    cluster = world.flink.clusters.get(record.generation.cluster_id)
    if cluster is None or not cluster.job_managers:
        world.monitor.forced.add(record.uid)  # one may be started before it is answered
        world.monitor.stateless.add(record.uid)
        world.users.ask(name, "fence", generation=number)


def ask_junk(world: World, name: str) -> None:
    world.users.ask_junk(world.rng.choice([name, GLOBAL, "nobody"]), world.rng.choice(JUNK))


ANY: Sequence[Step] = (
    edit, edit, edit, scale, suspend, resume, resume, last_state, restart, savepoint, standby, delete, flip, flip,
    spoil, recreate_slowly, choose_mode, choose_delete, choose_strategies, ask_pause, ask_pause, ask_restore,
    ask_rollback, ask_force, ask_fence, ask_junk,
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
