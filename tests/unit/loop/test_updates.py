"""Status updates that come late, twice, or in another order."""

from __future__ import annotations

from reconciler.committing import take_settled
from reconciler.model.events import TaskUpdate
from reconciler.model.observation import TaskState
from tests.unit.loop.bench import Leader, World, started


def send(leader: Leader, task_id: str, *states: TaskState) -> None:
    for state in states:
        leader.loop.handle(TaskUpdate(task_id, state, "a1"))
    leader.settle()


def test_f21_updates_that_come_twice_change_nothing() -> None:
    world = World()
    leader = started(world)
    before = leader.loop.jobs["orders"].tasks
    for task_id in world.running():
        send(leader, task_id, TaskState.RUNNING, TaskState.RUNNING)
    assert leader.loop.jobs["orders"].tasks == before, "an equal state keeps its time"
    assert world.log == []


def test_f22_a_death_is_not_acknowledged_while_its_task_is_on_record() -> None:
    world = World()
    leader = started(world)
    entry = leader.loop.jobs["orders"]
    death = TaskUpdate(world.running()[0], TaskState.FAILED, "a1", uuid="u1")
    entry.acknowledge = [death]
    assert take_settled(entry, entry.record) == []
    assert entry.acknowledge == [death]
    assert take_settled(entry, None) == [death]


def test_f21_a_death_is_final_whatever_arrives_after_it() -> None:
    world = World()
    leader = started(world)
    (jobmanager, taskmanager) = world.running()
    leader.hold("store")
    send(leader, taskmanager, TaskState.FAILED, TaskState.RUNNING)
    assert leader.loop.jobs["orders"].tasks[taskmanager].state is TaskState.FAILED
    leader.hold()
    leader.settle()
    assert all(task.task_id != taskmanager for task in world.record().tasks)
    assert any(task.task_id == jobmanager for task in world.record().tasks)
