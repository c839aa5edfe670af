"""A job that cannot be handled is left alone, told of, and does not keep the others from being handled."""

from __future__ import annotations

import pytest

from reconciler import loop as loop_module
from reconciler.model.decision import Decision, Desired
from reconciler.ports import ValueTooLarge
from tests.unit.loop.bench import Leader, World, started


def test_a_mistake_about_one_job_is_in_its_status_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    leader = started(world)
    decide = loop_module.decide

    def mistaken(desired: Desired, *args: object) -> Decision:
        if desired.name == "orders":
            raise RuntimeError("boom")
        return decide(desired, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop_module, "decide", mistaken)
    world.apply(restartNonce=1)
    world.apply("clicks")
    leader.let_pass(60)
    assert leader.loop.stopped is None
    assert leader.loop.mistakes > 0
    status = world.users.load_status("orders")
    assert status is not None
    assert "RuntimeError: boom" in status.why
    assert world.record("clicks").lifecycle.value == "STABLE"
    assert any(task.startswith("orders.") for task in world.running())


def test_f16_a_record_that_zookeeper_cannot_take_is_told_of_and_not_tried_in_a_storm() -> None:
    world = World()
    leader = started(world)
    tried = 0
    commit = leader.loop._parts.store.commit

    def refusing(fence: object, change: object) -> int:
        nonlocal tried
        if change.write_record and change.name == "orders":  # type: ignore[attr-defined]
            tried += 1
            raise ValueTooLarge("orders has 2000000 bytes")
        return commit(fence, change)  # type: ignore[arg-type]

    leader.loop._parts.store.commit = refusing  # type: ignore[method-assign]
    world.apply(restartNonce=1)
    leader.let_pass(20)
    assert leader.loop.stopped is None
    status = world.users.load_status("orders")
    assert status is not None
    assert "too large" in status.why
    assert 0 < tried < 60
    assert world.running(), "the job runs on as it was"


def test_a_new_job_beside_a_quarantined_one_is_started() -> None:
    world = World()
    world.tree.put(world.tree.records, "orders", b"junk")
    world.apply("orders")
    world.apply("clicks")
    leader = Leader(world)
    leader.let_pass(60)
    assert world.record("clicks").lifecycle.value == "STABLE"
    status = world.users.load_status("orders")
    assert status is not None
    assert "unreadable" in status.why
