"""A new leader: it adopts what runs, waits for Mesos, and judges tasks that no record names."""

from __future__ import annotations

from collections.abc import Sequence

from integration.mesos.fake import CallFault
from reconciler.model import ids
from reconciler.model.events import AgentLost, FrameworkNamesake, FrameworkRemoved
from state.memory import MemorySession
from tests.unit.loop.bench import Leader, World, foreign_task, started


def test_f01_a_new_leader_reads_what_its_predecessor_wrote_last() -> None:
    world = World()
    second = MemorySession(world.tree)
    second.lag()
    first = started(world)
    before = world.running()
    first.die()
    leader = Leader(world, session=second)
    leader.settle()
    assert leader.loop.jobs["orders"].record == world.record()
    leader.let_pass(30)
    assert world.running() == before


def test_f04_a_leader_that_lost_its_lease_ends_and_leads_again_without_memory() -> None:
    world = World()
    first = started(world)
    first.session.expire()
    first.let_pass(1)
    assert first.loop.stopped == "leadership is lost"
    other = Leader(world)
    world.users.delete_job("orders")
    other.let_pass(60)
    other.die()
    again = Leader(world)
    again.let_pass(30)
    assert again.loop.jobs["orders"].record == world.record()
    assert world.record().lifecycle.value == "DELETED"


def test_f59_what_another_leader_dated_ahead_is_as_of_now() -> None:
    world = World()
    started(world).die()
    world.now -= 600.0

    second = Leader(world)
    second.settle()

    record = second.loop.jobs["orders"].record
    assert record is not None
    assert record.generation is not None
    assert record.generation.started_at == world.now
    assert {task.placed_at for task in record.tasks} == {world.now}


def test_f18_a_new_leader_adopts_the_tasks_of_the_old_one() -> None:
    world = World()
    first = started(world)
    before = world.running()
    first.die()
    second = Leader(world)
    second.let_pass(60)
    assert second.loop.jobs["orders"].tasks.keys() == set(before)
    assert world.running() == before
    assert [line for line in world.log if line.startswith(("launch", "kill"))] == []
    assert world.record().lifecycle.value == "STABLE"


def test_a_new_leader_has_a_spec_that_is_desired_and_runs_once_in_memory() -> None:
    world = World()
    started(world).die()
    second = Leader(world)
    second.let_pass(5)
    entry = second.loop.jobs["orders"]
    assert entry.record is not None
    assert entry.record.generation is not None
    assert entry.parsed is not None
    assert entry.parsed.spec is entry.record.spec
    assert entry.record.generation.spec is entry.record.spec


def test_f26_a_new_leader_does_nothing_to_a_job_before_mesos_has_answered_for_it() -> None:
    world = World()
    first = started(world)
    first.die()
    world.apply(env={"LEVEL": "1"})
    world.mesos.fault = lambda call: CallFault.SILENT if call == "RECONCILE" else None
    second = Leader(world)
    second.let_pass(30)
    assert [line for line in world.log if line.startswith("commit")] == []

    world.mesos.fault = None
    second.let_pass(60)
    generation = world.record().generation
    assert generation is not None
    assert generation.number == 2


def test_f06_nothing_is_placed_before_mesos_has_answered_although_a_task_is_wanted_and_offers_are_there() -> None:
    world = World()
    first = started(world)
    first.hold("mesos")
    world.mesos.agent_down("a2", processes_die=True)
    world.mesos.agent_up("a2")
    first.let_pass(5)
    assert any(not task.placed for task in world.record().tasks), world.record().tasks
    first.die()
    world.mesos.fault = lambda call: CallFault.SILENT if call == "RECONCILE" else None
    second = Leader(world)
    second.let_pass(20)
    assert any(not task.placed for task in world.record().tasks)
    assert [line for line in world.log if line.startswith("launch")] == []


def test_a_lost_agent_is_asked_about_because_what_became_of_its_tasks_is_said_only_once() -> None:
    world = World()
    leader = started(world)
    agent = next(task.agent_id for task in world.record().tasks)
    asked: list[str | None] = []
    reconcile = leader.cluster.reconcile

    def note(tasks: Sequence[tuple[str, str | None]]) -> None:
        asked.extend(task_agent for _, task_agent in tasks)
        reconcile(tasks)

    leader.cluster.reconcile = note  # type: ignore[method-assign]
    leader.loop.handle(AgentLost(str(agent)))
    leader.settle()
    on_it = [task.agent_id for task in world.record().tasks if task.agent_id == agent]
    assert asked == on_it


def test_f35_a_displaced_leader_stops_and_does_not_take_the_lead_back() -> None:
    world = World()
    first = started(world)
    first.session.expire()
    second = Leader(world)
    second.settle()
    first.settle()
    assert first.loop.stopped is not None
    assert not first.loop.halted
    assert second.loop.stopped is None


def test_f30_a_leader_that_reaches_no_master_lets_another_replica_try() -> None:
    world = World()
    first = started(world)
    before = world.running()
    world.mesos.master_down()
    first.let_pass(59)
    assert first.loop.stopped is None, "a failover of the master takes seconds"
    first.let_pass(3)
    assert first.loop.stopped is not None
    assert not first.loop.halted
    first.die()
    second = Leader(world)
    second.let_pass(62)
    assert second.loop.stopped is not None, "it never reached one, and goes on looking no longer than the first"
    second.die()
    world.mesos.master_up()
    third = Leader(world)
    third.let_pass(120)
    assert third.loop.stopped is None
    assert world.running() == before


def test_f26_absences_of_the_master_do_not_add_up() -> None:
    world = World()
    leader = started(world)
    for _ in range(3):
        world.mesos.master_down()
        leader.let_pass(40)
        world.mesos.master_up()
        leader.let_pass(10)
    assert leader.loop.stopped is None


def test_f25_a_removed_framework_halts_for_a_person() -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    leader.loop.handle(FrameworkRemoved("Framework has been removed"))
    assert leader.loop.halted


def test_f65_a_namesake_whose_tasks_run_halts_for_a_person() -> None:
    leader = Leader(World())
    leader.loop.handle(FrameworkNamesake("the framework fw-0 is called weir too"))
    assert leader.loop.halted


def test_f28_a_task_of_a_deleted_life_is_killed() -> None:
    world = World()
    leader = started(world)
    uid = world.record().uid
    world.users.delete_job("orders")
    leader.let_pass(60)
    assert world.running() == []
    foreign_task(world, ids.task_id("orders", uid, 1, "tm", 0, 9))
    leader.die()
    second = Leader(world)
    second.let_pass(5)
    assert world.running() == []


def test_f28_f64_a_task_of_a_newer_generation_is_never_killed_and_the_job_is_blocked() -> None:
    world = World()
    leader = started(world)
    newer = ids.task_id("orders", world.record().uid, 7, "jm", 0, 40)
    foreign_task(world, newer)
    leader.die()
    second = Leader(world)
    second.let_pass(30)
    assert newer in world.running()
    assert world.record().blocked == "RECORD_TOO_OLD"


def test_f28_a_task_of_an_unknown_job_is_left_alone() -> None:
    world = World()
    leader = started(world)
    unknown = ids.task_id("nobody", "0123456789", 1, "tm", 0, 1)
    foreign_task(world, unknown)
    leader.die()
    second = Leader(world)
    second.let_pass(30)
    assert unknown in world.running()


def test_tasks_of_a_job_that_was_deleted_with_keep_are_left_running_by_every_later_leader() -> None:
    world = World()
    leader = started(world, onDelete="keep")
    before = world.running()
    world.users.delete_job("orders")
    leader.let_pass(10)
    assert world.record().lifecycle.value == "DELETED"
    leader.die()
    second = Leader(world)
    second.let_pass(60)
    assert world.running() == before
