"""A delete is carried out; a desired tree that has vanished is not taken for one (fault 13, S7)."""

from __future__ import annotations

from tests.unit.loop.bench import World, started


def test_f13_the_delete_of_the_only_job_is_a_delete() -> None:
    world = World()
    leader = started(world)
    world.users.delete_job("orders")
    leader.let_pass(60)
    assert world.running() == []
    assert world.record().lifecycle.value == "DELETED"


def test_f13_a_vanished_tree_stops_nothing() -> None:
    world = World()
    leader = started(world)
    before = world.running()
    world.tree.delete_jobs_node()
    leader.let_pass(120)
    assert world.running() == before
    assert world.record().lifecycle.value == "STABLE"
    status = world.users.load_status("orders")
    assert status is not None
    assert "missing" in (status.error or "")


def test_f14_a_desired_tree_that_cannot_be_read_stops_nothing() -> None:
    world = World()
    leader = started(world)
    before = world.running()
    leader.session.fail_next(100, call="load_jobs")
    leader.let_pass(120)
    assert world.running() == before
    assert world.record().lifecycle.value == "STABLE"
    assert (status := world.users.load_status("orders")) is not None
    assert status.error is None, "silence is not an absence"


def test_f13_a_recreated_and_empty_tree_stops_nothing() -> None:
    world = World()
    leader = started(world)
    before = world.running()
    world.tree.delete_jobs_node()
    leader.let_pass(5)
    world.tree.create_jobs_node()
    leader.let_pass(120)
    assert world.running() == before


def test_f13_a_tree_that_is_back_unchanged_is_as_if_nothing_had_happened() -> None:
    world = World()
    leader = started(world)
    before, hidden = world.running(), world.tree.jobs
    world.tree.delete_jobs_node()
    leader.let_pass(5)
    world.tree.jobs = hidden
    world.tree.changed()
    leader.let_pass(30)
    assert world.running() == before
    assert [line for line in world.log if line.startswith("commit")] == []


def test_f13_a_job_that_is_put_back_into_a_recreated_tree_goes_on_running() -> None:
    world = World()
    leader = started(world)
    before = world.running()
    world.tree.delete_jobs_node()
    leader.let_pass(5)
    world.tree.create_jobs_node()
    world.apply()
    leader.let_pass(60)
    assert world.running() == before


def test_f51_a_job_that_is_deleted_and_created_again_is_another_job() -> None:
    world = World()
    leader = started(world)
    uid = world.record().uid
    world.users.delete_job("orders")
    world.apply()
    leader.let_pass(90)
    assert world.record().uid != uid
    assert len(world.running()) == 2
    assert all(uid not in task for task in world.running())
