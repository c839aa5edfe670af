"""From a changed znode to a running task, and what is persisted before what."""

from __future__ import annotations

from integration.mesos.fake import CallFault
from reconciler.model.observation import TaskState
from tests.unit.loop.bench import Leader, World, started


def test_a_new_spec_becomes_a_record_then_running_tasks() -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    assert world.running() == []

    world.apply()
    leader.settle()

    uid = world.record().uid
    assert world.running() == [f"orders.{uid}.1.jm.0.1", f"orders.{uid}.1.tm.0.2"]
    launches = [line for line in world.log if line.startswith("launch")]
    assert world.log.index("commit orders") < world.log.index(launches[0])


def test_f17_nothing_is_launched_before_its_placement_is_persisted() -> None:
    world = World()
    world.apply()
    leader = Leader(world)
    leader.hold("mesos")
    leader.settle()
    assert all(task.placed for task in world.record().tasks)
    assert world.running() == []

    leader.hold()
    leader.settle()
    assert len(world.running()) == 2


def test_f17_nothing_is_launched_when_its_placement_could_not_be_persisted() -> None:
    world = World()
    world.apply()
    leader = Leader(world)
    leader.session.fail_next(20, call="commit")
    leader.settle()
    assert world.running() == []
    leader.let_pass(60)
    assert len(world.running()) == 2
    assert world.log.index("commit orders") < next(n for n, line in enumerate(world.log) if line.startswith("launch"))


def test_f17_no_call_overtakes_an_accept_that_waits_for_another_job() -> None:
    world = World(agents=1)
    world.apply("first", onDelete="cancel")
    world.apply("second")
    leader = Leader(world)
    leader.hold_commits("second")
    leader.settle()
    assert all(task.placed for task in world.record("first").tasks)

    world.users.delete_job("first")
    leader.let_pass(5)
    assert world.running() == []
    assert "KILL" not in world.mesos.calls

    leader.hold_commits()
    leader.let_pass(20)
    assert world.mesos.calls.index("ACCEPT") < world.mesos.calls.index("KILL")
    assert [name.partition(".")[0] for name in world.running()] == ["second", "second"]


def test_f19_a_launch_that_was_not_sent_is_found_out_and_repeated() -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    failures = iter([CallFault.UNAVAILABLE])
    world.mesos.fault = lambda call: next(failures, None) if call == "ACCEPT" else None
    world.apply()
    leader.let_pass(20)
    assert len(world.running()) == 2, "long before the launch time-out of two minutes"
    assert world.record().restarts.total == 0


def test_f22_a_death_is_acknowledged_only_after_it_is_persisted() -> None:
    world = World()
    leader = started(world)
    (jobmanager, _) = world.running()
    leader.hold("store")
    world.mesos.set_state(jobmanager, TaskState.FAILED)
    leader.settle()
    assert "ACKNOWLEDGE" not in world.mesos.calls

    leader.hold()
    leader.settle()
    assert "ACKNOWLEDGE" in world.mesos.calls
    assert all(task.task_id != jobmanager for task in world.record().tasks)


def test_f36_offers_are_declined_and_suppressed_when_nothing_is_wanted() -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    assert world.mesos.offers == {}
    assert world.mesos.calls[-2:] == ["DECLINE", "SUPPRESS"] or world.mesos.calls[-2:] == ["SUPPRESS", "DECLINE"]


def test_a_stable_job_causes_no_writes_and_no_calls() -> None:
    world = World()
    leader = started(world)
    leader.let_pass(120)
    assert world.log == []
    assert world.mesos.calls == []


def test_f15_a_lost_watch_event_only_costs_time() -> None:
    world = World()
    leader = Leader(world)
    leader.settle()
    leader.session.lose_watch_events = True
    world.apply()
    leader.settle()
    assert world.running() == []
    leader.let_pass(31)
    assert len(world.running()) == 2


def test_f50_an_invalid_version_changes_nothing_but_the_status() -> None:
    world = World()
    leader = started(world)
    before = world.running()
    world.users.put_job("orders", b"{")
    leader.let_pass(5)
    assert world.running() == before
    status = world.users.load_status("orders")
    assert status is not None
    assert not status.accepted
    assert status.lifecycle == "STABLE"
