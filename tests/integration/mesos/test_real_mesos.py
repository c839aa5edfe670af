"""Faults of the real thing: masters that die or hang, agents that go and come back."""

from __future__ import annotations

import time

import pytest

from plugins import retries
from reconciler.model.events import (
    AgentLost,
    Disconnected,
    FrameworkDisplaced,
    FrameworkRemoved,
    OffersReceived,
    Subscribed,
    TaskUpdate,
)
from reconciler.model.observation import TaskState
from reconciler.model.resources import TaskInfo
from reconciler.model.retry import Failure
from reconciler.ports import ClusterUnavailable

pytestmark = pytest.mark.stack


def running_again(scheduler, task, since):
    """Ask for the task until the master knows: after a failover it is silent until the agent is back (fault 26)."""

    def answered():
        try:
            scheduler.cluster.reconcile([(task.task_id, task.agent_id)])
        except ClusterUnavailable:
            return False
        time.sleep(0.5)
        return [u for u in scheduler.of(TaskUpdate, since) if u.task_id == task.task_id]

    updates = scheduler.wait(answered)
    assert {u.state for u in updates} == {TaskState.RUNNING}


def test_f26_a_master_failover_keeps_the_framework_and_its_tasks(stack, scheduler_on):
    scheduler = scheduler_on()
    task = scheduler.run()
    leader = leader_of(stack, scheduler)
    since = scheduler.mark()
    began = time.monotonic()
    stack.kill(leader.name)
    try:
        scheduler.wait(lambda: scheduler.of(Disconnected, since))
        assert time.monotonic() - began < 2.0
        again = scheduler.wait(lambda: scheduler.of(Subscribed, since))[0]
        assert again.framework_id == scheduler.framework_id
        assert again.master != f"{leader.address[0]}:{leader.address[1]}"
        running_again(scheduler, task, since)
        scheduler.wait(lambda: scheduler.of(OffersReceived, since))
    finally:
        stack.start(leader.name)
    assert scheduler.of(FrameworkDisplaced) + scheduler.of(FrameworkRemoved) == []


def test_f30_a_paused_master_is_left_after_its_heartbeats_are_missed(stack, scheduler_on):
    masters = ",".join(f"{m.address[0]}:{m.address[1]}" for m in stack.masters())
    scheduler = scheduler_on(masters, missed_heartbeats=1)
    task = scheduler.run()
    leader = leader_of(stack, scheduler)
    since = scheduler.mark()
    stack.pause(leader.name)
    try:
        lost = scheduler.wait(lambda: scheduler.of(Disconnected, since), 40.0)[0]
        assert "heartbeats" in lost.why
        again = scheduler.wait(lambda: scheduler.of(Subscribed, since), 40.0)[0]
        assert again.framework_id == scheduler.framework_id
        running_again(scheduler, task, since)
    finally:
        stack.resume(leader.name)
        await_another_leader(stack, scheduler, leader)


def test_a_paused_leader_is_left_at_once_when_zookeeper_names_another(stack, scheduler_on):
    scheduler = scheduler_on()
    leader = leader_of(stack, scheduler)
    since = scheduler.mark()
    stack.pause(leader.name)
    try:
        began = time.monotonic()
        with pytest.raises(ClusterUnavailable):
            scheduler.cluster.reconcile([])
        assert time.monotonic() - began < 6.0
        scheduler.wait(lambda: scheduler.of(Subscribed, since), 20.0)
        scheduler.cluster.reconcile([])
    finally:
        stack.resume(leader.name)
        await_another_leader(stack, scheduler, leader)


def test_f27_an_agent_that_dies_and_comes_back_is_unreachable_then_running(stack, scheduler_on):
    scheduler = scheduler_on()
    task = scheduler.run()
    agent = agent_of(stack, scheduler, task)
    since = scheduler.mark()
    stack.kill(agent)
    try:
        update = scheduler.state(task, TaskState.UNREACHABLE, since=since)
        assert update.uuid is None
        scheduler.wait(lambda: AgentLost(task.agent_id) in scheduler.events[since:])
        asked = scheduler.mark()
        scheduler.cluster.reconcile([(task.task_id, task.agent_id)])
        scheduler.state(task, TaskState.UNREACHABLE, since=asked)
        scheduler.cluster.reconcile([(task.task_id, None), ("integration-nobody", task.agent_id)])
        asked_task = TaskInfo("integration-nobody", "", task.agent_id, 0.0, 0.0, ())
        assert scheduler.state(asked_task, *TaskState, since=asked).state is TaskState.UNREACHABLE
    finally:
        since = scheduler.mark()
        stack.start(agent)
    scheduler.state(task, TaskState.RUNNING, since=since)


def test_a_host_that_dies_fails_its_tasks_when_it_comes_back(stack, scheduler_on):
    scheduler = scheduler_on()
    task = scheduler.run()
    agent = agent_of(stack, scheduler, task)
    since = scheduler.mark()
    stack.kill(agent.replace("agent", "host"))
    try:
        scheduler.state(task, TaskState.UNREACHABLE, since=since)
    finally:
        stack.start(agent)
    update = scheduler.state(task, TaskState.FAILED, TaskState.GONE, since=since)
    assert update.state.dead


def test_f25_a_framework_that_was_torn_down_is_not_registered_anew(stack, scheduler_on):
    scheduler = scheduler_on()
    scheduler.run()
    since = scheduler.mark()
    scheduler.teardown()
    removed = scheduler.wait(lambda: scheduler.of(FrameworkRemoved, since))[0]
    assert "removed" in removed.why.lower()
    time.sleep(1.0)
    assert scheduler.of(Subscribed, since) == []
    with pytest.raises(ClusterUnavailable, match="removed"):
        scheduler.cluster.revive()


def test_f29_the_master_itself_drops_a_task_of_an_offer_that_it_does_not_know(scheduler_on):
    scheduler = scheduler_on()
    offer = scheduler.offer()
    task = TaskInfo("integration-dropped", "x", offer.agent_id, 0.1, 32.0, ("true",))
    info = {
        "name": "x", "task_id": {"value": task.task_id}, "agent_id": {"value": offer.agent_id},
        "command": {"shell": False, "value": "true", "arguments": ["true"]},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}, "allocation_info": {"role": "*"}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}, "allocation_info": {"role": "*"}},
        ],
    }  # fmt: skip
    operation = {"type": "LAUNCH", "launch": {"task_infos": [info]}}
    scheduler.cluster._driver.acceptOffers([{"value": "no-such-offer"}], [operation])
    update = scheduler.state(task, TaskState.DROPPED)
    assert (update.reason, update.uuid, update.source) == ("REASON_INVALID_OFFERS", None, "SOURCE_MASTER")


def test_f35_a_displaced_scheduler_never_takes_the_framework_back(stack, scheduler_on):
    first = scheduler_on()
    second = scheduler_on()
    second.cluster.stop()
    second.events.clear()
    second.cluster.start(first.framework_id, second.events.append)
    first.wait(lambda: first.of(FrameworkDisplaced))
    time.sleep(3.0)
    assert second.of(FrameworkDisplaced) == []
    assert second.of(Disconnected) == []
    with pytest.raises(ClusterUnavailable, match="displaced"):
        first.cluster.reconcile([])


def agent_of(stack, scheduler, task):
    """The stack's name of the agent that runs a task."""
    hostname = scheduler.hostname(task)
    names = stack.layout.agents
    for number, name in enumerate(names, start=1):
        if hostname in (name, stack.layout.agent_address(number)[0]):
            return name
    pytest.fail(f"no agent of {names} is {hostname}")


def leader_of(stack, scheduler):
    """The master that the scheduler is subscribed with; one that has just lost its place may still think it leads."""
    master = scheduler.of(Subscribed)[-1].master
    return next(m for m in stack.masters() if master == f"{m.address[0]}:{m.address[1]}")


def await_another_leader(stack, scheduler, old):
    """A master that was paused past its session ends itself when it wakes, and is started again."""

    def settled():
        masters = stack.masters()
        return all(m.up for m in masters) and [m.name for m in masters if m.leading] not in ([], [old.name])

    scheduler.wait(settled)


def test_a_retry_policy_says_when_the_next_master_is_tried(stack, scheduler_on):
    chosen = retries.build({"mesos": {"policy": "fixed", "delay": "200ms"}})
    asked = []

    def after(failures, seed):
        asked.append((failures, chosen.delay(Failure("mesos", "subscribe", failures, seed))))
        return asked[-1][1]

    masters = [f"{master.address[0]}:{master.address[1]}" for master in stack.masters()]
    scheduler = scheduler_on(",".join(["127.0.0.1:1", *masters]), resubscribe_after=after)

    assert scheduler.offer()
    assert asked[0][0] == 1
    assert all(0.2 <= delay <= 0.22 for _, delay in asked)
