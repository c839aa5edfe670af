"""Agents that are to be empty: what is there moves away, one after the other, and its job goes on from its state."""

from __future__ import annotations

import json
from typing import Any

from reconciler.model.observation import TaskState
from reconciler.model.operator import OperatorRecord
from reconciler.model.record import Role
from state.codec import decode_operator
from state.memory import OPERATOR
from tests.unit.loop.bench import Leader, World, started

TWO = {"job": {"type": "python", "uri": "file:///srv/job.py", "parallelism": 2}, "taskManager": {"slots": 1}}


def ask(world: World, action: str, agent: str) -> None:
    world.users.put_request("_global", json.dumps({"action": action, "args": {"agent": agent}, "by": "ann"}).encode())


def operator(world: World) -> OperatorRecord:
    return decode_operator(world.tree.operator[OPERATOR].data)


def on(world: World, agent: str) -> list[str]:
    return sorted(task for task, info in world.mesos.running().items() if info.agent_id == agent)


def agent_of(world: World, role: Role, name: str = "orders") -> str:
    found = next(task for task in world.record(name).tasks if task.role is role)
    assert found.agent_id is not None
    return found.agent_id


def codes(world: World, name: str = "orders") -> list[str]:
    return [event.code for event in world.users.load_events(name)]


def ready(**changes: Any) -> tuple[World, Leader]:
    world = World(agents=3)
    leader = started(world, **{**TWO, **changes})
    return world, leader


def test_everything_leaves_a_drained_agent_inside_its_generation_and_uncharged() -> None:
    world, leader = ready()
    agent = agent_of(world, Role.TASK_MANAGER)
    assert on(world, agent)
    ask(world, "drain", agent)
    leader.let_pass(120)
    assert on(world, agent) == []
    record = world.record()
    assert record.generation is not None
    assert record.generation.number == 1
    assert record.restarts.total == 0
    assert record.lifecycle.value == "STABLE"
    assert len(world.running()) == 3
    assert operator(world).draining[0].emptied_at is not None
    assert f"nothing is left on {agent}" in [event.message for event in world.users.load_events("_global")]


def test_f37_the_job_manager_leaves_by_way_of_a_standby_that_is_up_first() -> None:
    world, leader = ready()
    agent = agent_of(world, Role.JOB_MANAGER)
    old = next(task for task in world.running() if ".jm." in task)
    ask(world, "drain", agent)
    stood_by = 0.0
    for _ in range(240):
        leader.let_pass(0.5)
        if old not in world.running():
            break
        both = len([task for task in world.running() if ".jm." in task]) == 2
        assert f"kill {old}" not in world.log or both
        stood_by += 0.5 if both else 0.0
    assert stood_by >= 10.0, "a standby has the time that a JVM needs"
    launched = [line for line in world.log if line.startswith("launch") and ".jm." in line]
    assert len(launched) == 1
    assert world.log.index(launched[0]) < world.log.index(f"kill {old}")
    leader.let_pass(60)
    assert world.record().lifecycle.value == "STABLE"
    assert on(world, agent) == []
    assert world.flink.violations == []


def test_f37_a_task_manager_goes_only_when_its_replacement_is_registered() -> None:
    world, leader = ready()
    agent = agent_of(world, Role.TASK_MANAGER)
    victims = [task for task in on(world, agent) if ".tm." in task]
    world.flink.timing.register = 30.0
    ask(world, "drain", agent)
    leader.let_pass(15)
    assert len([task for task in world.running() if ".tm." in task]) == 3, "one replacement is up, not registered yet"
    assert set(victims) <= set(world.running())
    assert "can stand in for it" in (world.users.load_status("orders").why)  # type: ignore[union-attr]
    leader.let_pass(120)
    assert not set(victims) & set(world.running())


def test_while_no_other_agent_has_room_everything_stays_where_it_is() -> None:
    world = World(agents=1)
    leader = started(world, **TWO)
    ask(world, "drain", "a1")
    leader.let_pass(60)
    assert len(on(world, "a1")) == 3
    said = world.users.load_status("orders")
    assert said is not None
    assert said.lifecycle == "STABLE"
    assert "moving TaskManager 0 away from a1.example, which is drained: waiting for an offer" in said.why
    assert "drain refuses a1.example" in said.why
    assert all("on a drained agent" in task.state for task in said.task_list if task.agent == "a1")
    world.mesos.add_agent("a2")
    leader.let_pass(120)
    assert on(world, "a1") == []


def test_f37_nothing_new_is_placed_on_a_drained_agent() -> None:
    world, leader = ready()
    ask(world, "drain", "a1.example")
    leader.let_pass(120)
    for number in range(3):
        world.apply(f"new-{number}")
    leader.let_pass(60)
    assert on(world, "a1") == []
    ask(world, "undrain", "a1.example")
    leader.let_pass(5)
    for number in range(3, 6):
        world.apply(f"new-{number}")
    leader.let_pass(60)
    assert on(world, "a1")


def test_a_new_leader_goes_on_where_the_old_one_was() -> None:
    world, leader = ready()
    agent = agent_of(world, Role.TASK_MANAGER)
    ask(world, "drain", agent)
    while len(world.running()) < 4:
        leader.let_pass(0.5)
    leader.die()
    after = Leader(world)
    after.let_pass(120)
    assert on(world, agent) == []
    assert len(world.running()) == 3
    launched = [line for line in world.log if line.startswith("launch")]
    assert len(launched) == len(set(launched))
    assert world.record().restarts.total == 0


def test_a_drain_that_is_ended_half_way_leaves_one_of_the_two() -> None:
    world, leader = ready()
    agent = agent_of(world, Role.TASK_MANAGER)
    world.flink.timing.register = 20.0
    ask(world, "drain", agent)
    leader.let_pass(10)
    ask(world, "undrain", agent)
    leader.let_pass(120)
    assert len(world.running()) == 3
    assert world.record().lifecycle.value == "STABLE"
    assert world.record().restarts.total == 0


def test_f37_so_many_jobs_at_once_leave_a_drained_agent() -> None:
    world = World(agents=1)
    names = [f"job-{number}" for number in range(4)]
    for name in names:
        world.apply(name)
    world.mesos.agents["a1"].total = world.mesos.agents["a1"].total.plus(world.mesos.agents["a1"].total)
    leader = Leader(world, moves=1)
    leader.let_pass(90)
    assert len(on(world, "a1")) == 8
    world.mesos.add_agent("a2", cpus=8.0, mem_mb=16384.0)
    ask(world, "drain", "a1")
    most = 0
    for _ in range(480):
        leader.let_pass(0.5)
        doubled = [name for name in names if len([t for t in world.running() if t.startswith(f"{name}.")]) > 2]
        most = max(most, len(doubled))
    assert most == 1
    assert on(world, "a1") == []


def test_a_job_whose_state_is_in_no_checkpoint_stays_and_says_how_to_move_it() -> None:
    world, leader = ready(flinkConfiguration={})
    agent = agent_of(world, Role.TASK_MANAGER)
    ask(world, "drain", agent)
    leader.let_pass(60)
    assert on(world, agent)
    assert "weir restart orders" in world.users.load_status("orders").why  # type: ignore[union-attr]
    world.apply(**TWO, flinkConfiguration={}, restartNonce=1)
    leader.let_pass(90)
    assert on(world, agent) == []


def test_a_task_that_dies_with_its_drained_agent_is_not_charged() -> None:
    world = World(agents=1)
    leader = started(world, **TWO)
    ask(world, "drain", "a1")
    leader.let_pass(10)
    victim = next(task for task in world.running() if ".tm." in task)
    world.flink.task_dead(victim)
    world.mesos.set_state(victim, TaskState.FAILED, None, "exit status 1")
    leader.let_pass(5)
    assert world.record().restarts.total == 0


def test_a_drain_of_a_name_that_holds_nothing_says_so() -> None:
    world, leader = ready()
    ask(world, "drain", "a9")
    leader.let_pass(5)
    answer = operator(world).answers[-1]
    assert answer.accepted
    assert "no task of ours is on an agent of this id or hostname" in answer.answer
    ask(world, "drain", "a9")
    leader.let_pass(3)
    assert not operator(world).answers[-1].accepted
    ask(world, "undrain", "a8")
    leader.let_pass(3)
    assert operator(world).answers[-1].answer == "a8 is not drained; drained are: a9"


def test_a_session_moves_and_its_jobs_go_on() -> None:
    world = World(agents=3)
    checkpoints = {"execution.checkpointing.interval": "2s"}
    session = {"kind": "Session", "flinkVersion": "2.2", "taskManager": {"slots": 2, "replicas": 2}}
    job = {"kind": "SessionJob", "session": "shared", "job": {"type": "jar", "uri": "file:///srv/job.jar"}}
    world.users.put_job("shared", json.dumps({**session, "flinkConfiguration": checkpoints}).encode())
    world.users.put_job("orders", json.dumps({**job, "flinkConfiguration": checkpoints}).encode())
    leader = Leader(world)
    leader.let_pass(120)
    assert world.record("orders").lifecycle.value == "STABLE"
    for agent in {agent_of(world, Role.TASK_MANAGER, "shared"), agent_of(world, Role.JOB_MANAGER, "shared")}:
        ask(world, "drain", agent)
        leader.let_pass(180)
        assert on(world, agent) == []
    for name in ("shared", "orders"):
        record = world.record(name)
        assert record.lifecycle.value == "STABLE"
        assert record.generation is not None
        assert (record.generation.number, record.restarts.total) == (1, 0)
