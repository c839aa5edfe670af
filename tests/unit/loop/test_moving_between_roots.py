"""A job moves from one installation to another as docs/adr/0015 says: never in both (S1), with its state (S2)."""

from __future__ import annotations

from typing import Any

from reconciler.model.record import Lifecycle
from tests.unit.loop.bench import Leader, World, started

JOB = {"type": "python", "uri": "file:///srv/job.py"}


def test_s1_a_job_moves_to_another_root_by_way_of_suspended() -> None:
    old = World()
    leaders = [started(old)]
    new = World()
    new.mesos, new.flink = old.mesos, old.flink
    leaders.append(Leader(new))
    most = 0

    def let_pass(seconds: float) -> None:
        nonlocal most
        for _ in range(int(seconds)):
            for world, leader in zip((old, new), leaders, strict=True):
                world.now = max(old.now, new.now)
                leader.let_pass(0.5)
            most = max(most, sum(".jm." in task for task in old.running()))

    def wanted(world: World, **changes: Any) -> None:
        world.apply(job={**JOB, **changes})
        let_pass(30)

    wanted(old, state="suspended")
    resume = old.record().resume
    assert resume is not None
    wanted(new, state="suspended", initialSavepointPath=resume.path)
    assert (old.record().lifecycle, new.record().lifecycle) == (Lifecycle.SUSPENDED, Lifecycle.SUSPENDED)
    assert old.running() == []
    old.users.delete_job("orders")
    let_pass(30)
    assert old.record().lifecycle is Lifecycle.DELETED
    wanted(new, initialSavepointPath=resume.path)
    let_pass(30)

    generation = new.record().generation
    assert generation is not None
    assert generation.restore is not None
    assert generation.restore.path == resume.path
    assert new.record().lifecycle is Lifecycle.STABLE
    assert most == 1
