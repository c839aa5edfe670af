"""What every `Cluster` does, the fake and the real one."""

from __future__ import annotations

import pytest

from reconciler.model.events import FrameworkDisplaced, FrameworkRemoved, Subscribed
from reconciler.model.observation import TaskState
from reconciler.ports import ClusterUnavailable

SLEEP = ("sleep", "600")
END = ("true",)


def test_the_framework_id_is_stable_over_a_new_subscription(world):
    scheduler = world.scheduler()
    framework_id = scheduler.start()
    scheduler.stop()
    assert scheduler.start(framework_id) == framework_id
    assert [e.framework_id for e in scheduler.of(Subscribed)] == [framework_id] * 2


def test_offers_name_agents_with_usable_resources(world):
    scheduler = world.scheduler()
    scheduler.start()
    offer = scheduler.offer()
    assert offer.agent_id
    assert offer.hostname
    assert offer.address
    assert offer.ports
    world.wait(lambda: len({o.agent_id for o in scheduler.open_offers()}) >= 2)


def test_f19_nothing_is_sent_before_the_subscription_and_after_stop(world):
    scheduler = world.scheduler()
    with pytest.raises(ClusterUnavailable):
        scheduler.cluster.reconcile([])
    scheduler.start()
    scheduler.stop()
    with pytest.raises(ClusterUnavailable):
        scheduler.cluster.kill("t", None, 1.0)
    with pytest.raises(ClusterUnavailable):
        scheduler.cluster.accept(["o"], [world.task("a")])


def test_several_tasks_of_one_agent_run_after_one_accept(world):
    scheduler = world.scheduler()
    scheduler.start()
    tasks = scheduler.launch(SLEEP, SLEEP, END)
    for task in tasks[:2]:
        update = scheduler.await_state(task.task_id, TaskState.RUNNING)
        assert update.agent_id == task.agent_id
        assert update.uuid is not None
    scheduler.await_state(tasks[2].task_id, TaskState.FINISHED)


def test_what_is_left_of_an_accepted_offer_is_offered_again(world):
    scheduler = world.scheduler()
    scheduler.start()
    since = scheduler.mark()
    task = scheduler.run()
    world.wait(lambda: [o for o in scheduler.open_offers(since) if o.agent_id == task.agent_id])


def test_exactly_the_ports_that_were_asked_for_are_taken(world):
    scheduler = world.scheduler()
    scheduler.start()
    offer = scheduler.offer()
    begin = offer.ports[0][0]
    task = world.task(offer.agent_id, ports=(begin + 1, begin + 3))
    since = scheduler.mark()
    scheduler.accept([offer.id], [task])
    scheduler.await_state(task.task_id, TaskState.RUNNING)
    left = world.wait(lambda: [o for o in scheduler.open_offers(since) if o.agent_id == task.agent_id])[0]
    assert left.ports[:3] == ((begin, begin), (begin + 2, begin + 2), (begin + 4, left.ports[2][1]))


def test_f22_an_unacknowledged_update_comes_again_and_an_acknowledged_one_does_not(world):
    scheduler = world.scheduler()
    scheduler.start()
    kept = scheduler.run()
    world.let_pass(2.0)  # until its acknowledgement has gone by way of the master to the agent
    scheduler.acknowledging = False
    (forgotten,) = scheduler.launch(SLEEP)
    first = world.wait(lambda: [u for u in scheduler.updates(forgotten.task_id) if u.uuid])[0]
    scheduler.stop()
    since = scheduler.mark()
    scheduler.start(scheduler.framework_id)
    again = world.wait(lambda: [u for u in scheduler.updates(forgotten.task_id, since) if u.uuid])[0]
    assert (again.uuid, again.state) == (first.uuid, first.state)
    assert [u for u in scheduler.updates(kept.task_id, since) if u.uuid] == []


def test_later_updates_of_a_task_wait_behind_the_unacknowledged_one(world):
    scheduler = world.scheduler()
    scheduler.start()
    scheduler.acknowledging = False
    (task,) = scheduler.launch(END)
    world.wait(lambda: scheduler.updates(task.task_id))
    world.let_pass(2.0)
    assert len({u.uuid for u in scheduler.updates(task.task_id)}) == 1
    scheduler.acknowledging = True
    scheduler.await_state(task.task_id, TaskState.FINISHED)


def test_a_killed_task_ends_as_killed(world):
    scheduler = world.scheduler()
    scheduler.start()
    task = scheduler.run()
    scheduler.cluster.kill(task.task_id, task.agent_id, 1.0)
    scheduler.await_state(task.task_id, TaskState.KILLED)


def test_killing_what_is_not_there_is_answered_as_a_reconciliation(world):
    scheduler = world.scheduler()
    scheduler.start()
    agent_id = scheduler.offer().agent_id
    scheduler.cluster.kill("contract-nobody", agent_id, 1.0)
    assert scheduler.await_state("contract-nobody", TaskState.GONE).uuid is None
    scheduler.cluster.kill("contract-no-one", None, 1.0)
    scheduler.await_state("contract-no-one", TaskState.UNKNOWN)


@pytest.mark.parametrize("with_agent", [True, False])
def test_explicit_reconciliation_tells_the_state_of_a_running_task(world, with_agent):
    scheduler = world.scheduler()
    scheduler.start()
    task = scheduler.run()
    world.let_pass(1.0)
    since = scheduler.mark()
    scheduler.cluster.reconcile([(task.task_id, task.agent_id if with_agent else None)])
    update = scheduler.await_state(task.task_id, TaskState.RUNNING, since=since)
    assert (update.reason, update.uuid) == ("REASON_RECONCILIATION", None)
    assert update.agent_id == task.agent_id


def test_explicit_reconciliation_of_tasks_that_nobody_knows(world):
    scheduler = world.scheduler()
    scheduler.start()
    agent_id = scheduler.offer().agent_id
    scheduler.cluster.reconcile(
        [("contract-gone", agent_id), ("contract-unknown", None), ("contract-nowhere", "no-such-agent-S0")]
    )
    assert scheduler.await_state("contract-gone", TaskState.GONE).agent_id == agent_id
    scheduler.await_state("contract-unknown", TaskState.UNKNOWN)
    scheduler.await_state("contract-nowhere", TaskState.UNKNOWN)


def test_an_ended_task_is_gone_when_it_is_asked_for(world):
    scheduler = world.scheduler()
    scheduler.start()
    (task,) = scheduler.launch(END)
    scheduler.await_state(task.task_id, TaskState.FINISHED)
    world.let_pass(1.0)
    since = scheduler.mark()
    scheduler.cluster.reconcile([(task.task_id, task.agent_id)])
    scheduler.await_state(task.task_id, TaskState.GONE, since=since)


def test_implicit_reconciliation_lists_what_runs(world):
    scheduler = world.scheduler()
    scheduler.start()
    tasks = scheduler.launch(SLEEP, SLEEP)
    for task in tasks:
        scheduler.await_state(task.task_id, TaskState.RUNNING)
    world.let_pass(1.0)
    since = scheduler.mark()
    scheduler.cluster.reconcile([])
    for task in tasks:
        scheduler.await_state(task.task_id, TaskState.RUNNING, since=since)


def test_f36_suppressed_means_no_offers_until_revived(world):
    scheduler = world.scheduler()
    scheduler.start()
    scheduler.offer()
    scheduler.cluster.suppress()
    scheduler.cluster.suppress()
    world.let_pass(1.5)
    since = scheduler.mark()
    scheduler.decline(0.0)
    world.let_pass(3.0)
    assert scheduler.open_offers(since) == []
    scheduler.cluster.revive()
    scheduler.cluster.revive()
    scheduler.offer(since)


def test_f36_declined_for_long_is_not_offered_until_revived(world):
    scheduler = world.scheduler()
    scheduler.start()
    world.wait(lambda: len({o.agent_id for o in scheduler.open_offers()}) >= 2)
    world.let_pass(1.5)
    since = scheduler.mark()
    scheduler.decline(3600.0)
    world.let_pass(3.0)
    assert scheduler.open_offers(since) == []
    scheduler.cluster.revive()
    scheduler.offer(since)


def test_declined_for_a_moment_is_offered_again(world):
    scheduler = world.scheduler()
    scheduler.start()
    scheduler.offer()
    since = scheduler.mark()
    scheduler.decline(0.0)
    scheduler.offer(since)


def test_f35_the_second_scheduler_displaces_the_first_for_good(world):
    first, second = world.scheduler(), world.scheduler()
    framework_id = first.start()
    task = first.run()
    second.start(framework_id)
    world.wait(lambda: first.of(FrameworkDisplaced))
    world.let_pass(2.0)
    assert len(first.of(Subscribed)) == 1
    assert second.of(FrameworkDisplaced) == []
    with pytest.raises(ClusterUnavailable):
        first.cluster.reconcile([])
    since = second.mark()
    second.cluster.reconcile([(task.task_id, task.agent_id)])
    second.await_state(task.task_id, TaskState.RUNNING, since=since)


def test_f29_a_used_offer_drops_the_second_task(world):
    scheduler = world.scheduler()
    scheduler.start()
    offer = scheduler.offer()
    first, second = world.task(offer.agent_id), world.task(offer.agent_id)
    scheduler.accept([offer.id], [first])
    scheduler.accept([offer.id], [second])
    update = scheduler.await_state(second.task_id, TaskState.DROPPED)
    assert (update.reason, update.uuid) == ("REASON_INVALID_OFFERS", None)
    scheduler.await_state(first.task_id, TaskState.RUNNING)


def test_a_task_that_takes_too_much_is_an_error_and_its_neighbour_runs(world):
    scheduler = world.scheduler()
    scheduler.start()
    offer = scheduler.offer()
    big, small = world.task(offer.agent_id, cpus=offer.cpus + 1), world.task(offer.agent_id)
    scheduler.accept([offer.id], [big, small])
    update = scheduler.await_state(big.task_id, TaskState.ERROR)
    assert (update.reason, update.uuid) == ("REASON_TASK_INVALID", None)
    scheduler.await_state(small.task_id, TaskState.RUNNING)


def test_a_task_id_is_used_once(world):
    scheduler = world.scheduler()
    scheduler.start()
    task = scheduler.run()
    world.let_pass(0.5)
    since = scheduler.mark()
    same = world.wait(lambda: [o for o in scheduler.open_offers() if o.agent_id == task.agent_id])[-1]
    scheduler.accept([same.id], [task])
    update = scheduler.await_state(task.task_id, TaskState.ERROR, since=since)
    assert (update.reason, update.uuid) == ("REASON_TASK_INVALID", None)


def test_f24_tasks_live_on_while_no_scheduler_is_there(world):
    scheduler = world.scheduler()
    scheduler.start()
    task = scheduler.run()
    scheduler.stop()
    world.schedulers.remove(scheduler)
    world.let_pass(3.0)
    successor = world.scheduler()
    successor.start(scheduler.framework_id)
    since = successor.mark()
    successor.cluster.reconcile([(task.task_id, task.agent_id)])
    successor.await_state(task.task_id, TaskState.RUNNING, since=since)
    world.schedulers.append(scheduler)


def test_f25_nobody_is_told_of_a_removal_that_did_not_happen(world):
    scheduler = world.scheduler()
    scheduler.start()
    world.let_pass(1.0)
    assert scheduler.of(FrameworkRemoved) == []
