"""What the loop does when ZooKeeper refuses, does not answer, or belongs to somebody else by now."""

from __future__ import annotations

import pytest

from reconciler.ports import FlinkTarget, Trigger
from tests.unit.loop.bench import SPEC, Leader, World, started


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not applied"])
def test_f09_an_unclear_commit_is_read_back_and_nothing_is_done_twice(applied: bool) -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    leader.session.fail_next(call="commit", applied=applied)
    world.apply()
    leader.let_pass(60)
    launched = [line for line in world.log if line.startswith("launch")]
    assert len(world.running()) == 2
    assert len(launched) == len(set(launched))
    assert world.record().lifecycle.value == "STABLE"


def test_f05_a_leader_whose_write_is_fenced_stops() -> None:
    world = World()
    leader = started(world)
    leader.lease.may_act, leader.lease.lost = (lambda: True), (lambda: False)  # it believes in itself for too long
    world.tree.bump_epoch()
    world.apply(env={"LEVEL": "1"})
    leader.settle()
    assert leader.loop.stopped is not None
    assert not leader.loop.halted
    assert world.record().generation is not None
    assert world.record().generation.ending is None


def test_f02_a_leader_that_was_suspended_after_its_write_launches_nothing() -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    world.apply()
    may_act = leader.lease.may_act

    def placed() -> bool:
        return "orders" in world.tree.records and any(task.placed for task in world.record().tasks)

    leader.lease.may_act = lambda: may_act() and not placed()
    leader.let_pass(5)
    assert placed()
    assert world.running() == []

    leader.lease.may_act = may_act
    leader.let_pass(90)
    assert len(world.running()) == 2


def test_f03_a_suspended_leader_neither_writes_nor_acts() -> None:
    world = World()
    leader = started(world)
    world.mesos.set_state(world.running()[1], next(iter(world.mesos.agents["a2"].tasks.values())).state.FAILED)
    leader.session.suspend()
    leader.let_pass(30)
    assert world.log == []
    assert leader.loop.stopped is None

    leader.session.resume()
    leader.let_pass(30)
    assert len(world.running()) == 2


def test_f03_a_leader_that_may_not_act_writes_nothing_although_zookeeper_answers() -> None:
    world = World()
    leader = started(world)
    leader.lease.may_act = lambda: False
    world.apply(env={"LEVEL": "1"})
    leader.let_pass(30)
    assert world.log == []


def test_f14_without_zookeeper_nothing_is_killed() -> None:
    world = World()
    leader = started(world)
    before = world.running()
    leader.session.suspend()
    leader.let_pass(600)
    assert world.running() == before
    assert world.log == []


def test_f12_an_unreadable_record_quarantines_its_job_and_no_other() -> None:
    world = World()
    first = started(world)
    before = world.running()
    world.tree.put(world.tree.records, "orders", b"junk")
    first.die()
    world.apply("clicks")
    second = Leader(world)
    second.let_pass(30)
    assert [task for task in world.running() if task.startswith("orders.")] == before
    assert len([task for task in world.running() if task.startswith("clicks.")]) == 2
    assert world.tree.records["orders"].data == b"junk"
    status = world.users.load_status("orders")
    assert status is not None
    assert "the record is unreadable" in status.why


def test_a_framework_id_that_cannot_be_saved_is_no_reason_to_halt_for_a_person() -> None:
    world = World()
    world.apply()
    first = Leader(world)
    first.session.fail_next(call="save_framework_id")
    first.settle()
    assert first.loop.stopped is not None
    assert not first.loop.halted
    assert world.running() == []

    first.die()
    second = Leader(world)
    second.let_pass(10)
    assert len(world.running()) == 2


@pytest.mark.parametrize("what", ["savepoint", "stop"])
def test_f39_flink_hears_of_no_trigger_that_is_not_persisted(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    leader = started(world)
    asked: list[tuple[str, str | None]] = []
    call = {"savepoint": "trigger_savepoint", "stop": "stop_with_savepoint"}[what]
    shipped = getattr(world.flink, call)

    def spy(target: FlinkTarget, trigger: Trigger) -> None:
        record = world.record()
        ending = record.generation.ending if record.generation else None
        persisted = record.savepoint or ending
        asked.append((trigger.trigger_id, persisted.trigger_id if persisted else None))
        shipped(target, trigger)

    monkeypatch.setattr(world.flink, call, spy)
    world.apply(**({"restartNonce": 1} if what == "stop" else {"job": {**SPEC["job"], "savepointTriggerNonce": 1}}))
    leader.settle()
    leader.let_pass(10)
    assert asked
    assert {trigger for trigger, _ in asked} == {persisted for _, persisted in asked}
    assert len(set(asked)) == 1
