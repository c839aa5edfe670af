"""Runs with a session cluster and two jobs in it: what users do with them, under the same faults as ever.

Deleting the session comes last, because it waits until its jobs are deleted too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.simulation import workload
from tests.simulation.workload import Step

if TYPE_CHECKING:
    from tests.simulation.world import World

SESSION = "cluster"
JOBS = ("orders", "clicks")
_COMMON: dict[str, Any] = {
    "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
    "restart": {"initialBackoff": "1s", "maxBackoff": "4s"},
}
BASES: dict[str, dict[str, Any]] = {
    SESSION: {
        **_COMMON,
        "kind": "Session",
        "flinkVersion": "2.2",
        "taskManager": {"slots": 4, "replicas": 2},
        "health": {"stableAfter": "3s", "launchTimeout": "15s"},
    },
    **{
        name: {
            **_COMMON,
            "kind": "SessionJob",
            "session": SESSION,
            "job": {"type": "jar", "uri": "file:///srv/job.jar", "parallelism": 1, "upgradeMode": "savepoint"},
            "health": {"stableAfter": "3s"},
        }
        for name in JOBS
    },
}


def edit_job(world: World, name: str) -> None:
    arguments = world.users.document(name)["job"].get("args", [])
    world.users.apply(name, job={"args": [str(len(arguments)), *arguments][:3]})


def last_state(world: World, name: str) -> None:
    world.users.apply(name, job={"upgradeMode": "last-state"})
    edit_job(world, name)


def flip_job(world: World, name: str) -> None:
    """49: A, then B, then A again."""
    before = world.users.document(name)
    edit_job(world, name)
    after = world.users.document(name)

    def back() -> None:
        if world.users.exists(name) and world.users.document(name) == after:
            world.users.put_back(name, before)

    world.sim.after(world.rng.random() ** 2 * 3, back)


def misspell(world: World, name: str) -> None:
    """A program that Flink refuses; corrected soon."""
    world.users.apply(name, job={"entryClass": "no.such.Program"})
    world.sim.after(world.rng.random() * 12, correct, world, name)


def correct(world: World, name: str) -> None:
    if world.users.exists(name) and world.users.document(name)["job"].get("entryClass") is not None:
        world.users.apply(name, job={"entryClass": None})


def upgrade_session(world: World, name: str) -> None:
    workload.edit(world, SESSION)


def restart_session(world: World, name: str) -> None:
    workload.restart(world, SESSION)


def scale_session(world: World, name: str) -> None:
    replicas = world.users.document(SESSION)["taskManager"]["replicas"]
    world.users.apply(SESSION, taskManager={"replicas": 5 - replicas})


STEPS: Sequence[Step] = (
    edit_job, edit_job, flip_job, last_state, misspell, upgrade_session, upgrade_session, upgrade_session,
    restart_session, scale_session, workload.scale, workload.suspend, workload.resume, workload.resume,
    workload.restart, workload.savepoint, workload.delete, workload.recreate, workload.choose_mode,
    workload.spoil,
)  # fmt: skip


def schedule(world: World, count: int, seconds: float) -> None:
    """Create the session and its jobs, in any order, and plan `count` edits within the next `seconds`."""
    world.users.bases = BASES
    for name in (SESSION, *JOBS):
        world.sim.after(world.rng.random() * 3, workload.create, world, name)
    for _ in range(count):
        when = 3 + world.rng.random() * (seconds - 3)
        world.sim.after(when, _act, world, world.rng.choice(JOBS), world.rng.choice(STEPS))


def _act(world: World, name: str, step: Step) -> None:
    if world.users.exists(name):
        step(world, name)
    else:
        workload.create(world, name)


def delete_all(world: World) -> None:
    """The session first, last or in between. A job that is blocked does not end, and the session waits for it."""
    if any((record := world.monitor.record(name)) is not None and record.blocked for name in JOBS):
        return
    names = [SESSION, *JOBS]
    world.rng.shuffle(names)
    for name in names:
        for _ in range(60):
            world.users.delete(name)
            if not world.users.exists(name):
                break
            world.run(2.0)
        world.run(world.rng.random() * 3)
