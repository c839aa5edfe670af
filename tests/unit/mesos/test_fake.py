"""What only the fake can show quickly: hours of virtual time, lost calls, partitions, failovers of the master."""

from __future__ import annotations

import pytest

from integration.mesos.errors import AcceptUnclear
from integration.mesos.fake import CallFault, FakeCluster, FakeMesos
from reconciler.model.events import (
    AgentLost,
    Disconnected,
    FrameworkDisplaced,
    FrameworkRemoved,
    OfferRescinded,
    OffersReceived,
    Subscribed,
    TaskUpdate,
)
from reconciler.model.observation import TaskState
from reconciler.model.resources import TaskInfo
from reconciler.ports import ClusterUnavailable


class World:
    def __init__(self, kit, agents=("a1",), **settings):
        self.ended = []
        self.fault = None
        self.mesos = FakeMesos(
            on_end=lambda task_id, state: self.ended.append((task_id, state)),
            fault=lambda call: self.fault,
            **settings,
        )
        for agent in agents:
            self.mesos.add_agent(agent)
        self.sink = kit.Recorder()
        self.cluster = FakeCluster(self.mesos)

    def start(self):
        self.cluster.start(None, self.sink)
        self.mesos.settle()
        return self.sink.of(Subscribed)[0].framework_id

    def offers(self):
        return [offer for event in self.sink.of(OffersReceived) for offer in event.offers]

    def run(self, task_id="t1", **extra):
        offer = self.offers()[-1]
        values = {"name": task_id, "agent_id": offer.agent_id, "cpus": 1.0, "mem_mb": 256.0, "argv": ("x",)}
        self.cluster.accept([offer.id], [TaskInfo(task_id, **(values | extra))])
        self.mesos.settle()

    def acknowledge_all(self):
        """Until nothing is left to acknowledge."""
        done = set()
        while new := [u for u in self.sink.of(TaskUpdate) if u.uuid and u.uuid not in done]:
            for update in new:
                self.cluster.acknowledge(update)
                done.add(update.uuid)
            self.mesos.settle()

    def states(self, task_id="t1", since=0):
        events = self.sink.events[since:]
        return [e.state.name for e in events if isinstance(e, TaskUpdate) and e.task_id == task_id]

    def ask(self, *tasks):
        """The answers to an explicit reconciliation."""
        since = len(self.sink.events)
        self.cluster.reconcile(tasks)
        self.mesos.settle()
        return [e.state.name for e in self.sink.events[since:] if isinstance(e, TaskUpdate)]


@pytest.fixture
def world(kit):
    it = World(kit)
    it.start()
    return it


def test_nothing_happens_before_a_step(kit):
    world = World(kit)
    world.cluster.start(None, world.sink)
    assert world.sink.events == []
    assert world.mesos.step() == 2
    assert [type(e) for e in world.sink.events] == [Subscribed, OffersReceived]


def test_the_same_calls_give_the_same_events(kit):
    def story():
        world = World(kit, agents=("a1", "a2"))
        world.start()
        world.run()
        world.mesos.agent_down("a2")
        world.mesos.advance(100.0)
        world.mesos.settle()
        return world.sink.events

    assert story() == story()


def test_updates_are_repeated_with_growing_pauses_until_acknowledged(world):
    world.run()
    assert world.states() == ["STARTING"]
    for now in (9.0, 10.0, 29.0, 30.0, 69.0, 70.0):
        world.mesos.advance(now)
    assert world.states() == ["STARTING"] * 4
    world.acknowledge_all()
    assert world.states() == ["STARTING"] * 4 + ["RUNNING"]


def test_a_wrong_uuid_acknowledges_nothing(world):
    world.run()
    world.cluster.acknowledge(TaskUpdate("t1", TaskState.STARTING, "a1", uuid="bm8="))
    world.mesos.settle()
    assert world.states() == ["STARTING"]


def test_resources_of_ended_tasks_come_back_as_new_offers(world):
    world.run(ports=(31000,))
    assert world.offers()[-1].cpus == 3.0
    world.mesos.set_state("t1", TaskState.FAILED, message="boom")
    world.mesos.settle()
    assert (world.offers()[-1].cpus, world.offers()[-1].ports) == (1.0, ((31000, 31000),))


def test_a_hook_decides_what_becomes_of_a_task(kit):
    launched = []

    def hook(task, agent):
        launched.append((task.task_id, agent.address))
        return TaskState.FAILED

    world = World(kit, on_launch=hook)
    world.start()
    world.run()
    world.acknowledge_all()
    assert launched == [("t1", "10.0.0.1")]
    assert world.states() == ["STARTING", "FAILED"]
    assert world.mesos.running() == {}


def test_a_killed_task_tells_the_hook(world):
    world.run()
    world.cluster.kill("t1", "a1", 1.0)
    world.mesos.settle()
    world.acknowledge_all()
    assert world.states() == ["STARTING", "RUNNING", "KILLING", "KILLED"]
    assert world.ended == [("t1", TaskState.KILLED)]


def test_f27_an_agent_that_is_silent_is_unreachable_after_its_time_out_and_its_task_runs_again_after(world):
    world.run()
    world.acknowledge_all()
    world.mesos.agent_down("a1")
    world.mesos.settle()
    assert world.sink.of(OfferRescinded)
    world.mesos.advance(74.0)
    assert world.states()[-1] == "RUNNING"
    world.mesos.advance(75.0)
    assert world.states()[-1] == "UNREACHABLE"
    assert world.sink.of(AgentLost) == [AgentLost("a1")]
    assert world.sink.of(TaskUpdate)[-1].uuid is None
    assert world.ask(("t1", "a1"), ("t1", None), ("t9", "a1"), ("t9", None)) == [
        "UNREACHABLE", "UNREACHABLE", "UNREACHABLE", "UNKNOWN",
    ]  # fmt: skip
    assert "t1" in world.mesos.running()
    world.mesos.agent_up("a1")
    world.mesos.settle()
    assert world.states()[-1] == "RUNNING"
    assert world.ended == []


def test_a_host_that_dies_fails_its_tasks_when_it_is_back(world):
    world.run()
    world.acknowledge_all()
    world.mesos.agent_down("a1", processes_die=True)
    assert world.ended == [("t1", TaskState.FAILED)]
    assert world.mesos.running() == {}
    world.mesos.advance(80.0)
    assert world.states()[-1] == "UNREACHABLE"
    world.mesos.agent_up("a1")
    world.mesos.settle()
    assert world.states()[-1] == "FAILED"


def test_a_short_outage_of_an_agent_is_not_noticed(world):
    world.run()
    world.acknowledge_all()
    since = len(world.sink.events)
    world.mesos.agent_down("a1")
    world.mesos.advance(10.0)
    world.mesos.agent_up("a1")
    world.mesos.advance(300.0)
    assert world.states(since=since) == []


def test_f34_a_kill_waits_for_an_agent_that_is_away(world):
    world.run()
    world.acknowledge_all()
    world.mesos.agent_down("a1")
    world.cluster.kill("t1", "a1", 1.0)
    world.mesos.settle()
    assert world.states()[-1] == "RUNNING"
    world.mesos.agent_up("a1")
    world.mesos.settle()
    world.acknowledge_all()
    assert world.states()[-1] == "KILLED"


def test_a_task_whose_launch_did_not_reach_its_agent_is_dropped(world):
    offer = world.offers()[-1]
    world.cluster.accept([offer.id], [TaskInfo("t1", "t1", "a1", 1.0, 64.0, ("x",))])
    world.mesos.agent_down("a1")
    world.mesos.settle()
    world.mesos.agent_up("a1")
    world.mesos.settle()
    assert world.states() == ["DROPPED"]


def test_f26_a_new_master_is_silent_about_agents_that_are_not_back(kit):
    world = World(kit, agents=("a1", "a2"))
    framework_id = world.start()
    world.run()
    world.acknowledge_all()
    agent_id = world.sink.of(TaskUpdate)[-1].agent_id
    world.mesos.master_down()
    world.mesos.settle()
    assert isinstance(world.sink.events[-1], Disconnected)
    with pytest.raises(ClusterUnavailable):
        world.cluster.reconcile([])
    world.mesos.master_up(agents=False)
    world.mesos.settle()
    assert world.sink.of(Subscribed)[-1].framework_id == framework_id
    assert world.ask(("t1", agent_id), ("t1", None)) == []
    assert world.ask(("t1", "nowhere")) == ["UNKNOWN"]
    assert world.ask() == []
    world.mesos.agent_up(agent_id)
    world.mesos.settle()
    update = world.sink.of(TaskUpdate)[-1]
    assert (update.state, update.reason, update.uuid) == (TaskState.RUNNING, "REASON_AGENT_REREGISTERED", None)
    assert world.ask(("t1", agent_id)) == ["RUNNING"]


def test_an_agent_that_never_comes_back_to_a_new_master_is_unreachable(world):
    world.run()
    world.acknowledge_all()
    world.mesos.agent_down("a1")
    world.mesos.master_down()
    world.mesos.master_up()
    world.mesos.settle()
    assert world.ask(("t1", "a1")) == []
    world.mesos.advance(world.mesos.now + 600.0)
    assert world.ask(("t1", "a1"), ("t1", None)) == ["UNREACHABLE", "UNKNOWN"]


def test_an_agent_marked_gone_does_not_come_back(world):
    world.run()
    world.acknowledge_all()
    world.mesos.mark_gone("a1")
    world.mesos.settle()
    assert world.states()[-1] == "GONE_BY_OPERATOR"
    assert world.ask(("t1", "a1")) == ["GONE_BY_OPERATOR"]
    with pytest.raises(ValueError, match="gone"):
        world.mesos.agent_up("a1")


def test_f36_filters_end_with_their_time_and_do_not_hold_more_than_was_declined(world):
    world.run("t1", cpus=1.0)
    world.run("t2", cpus=1.0)
    left = world.offers()[-1]
    world.cluster.decline([left.id], 60.0)
    count = len(world.offers())
    world.mesos.advance(59.0)
    assert len(world.offers()) == count
    world.mesos.set_state("t1", TaskState.FAILED)
    world.mesos.settle()
    assert world.offers()[-1].cpus == 3.0
    world.cluster.decline([world.offers()[-1].id], 60.0)
    world.mesos.advance(119.5)
    assert len(world.offers()) == count + 2


def test_f24_a_framework_that_stays_away_too_long_is_removed_and_not_taken_back(world):
    framework_id = world.sink.of(Subscribed)[0].framework_id
    world.run()
    world.cluster.stop()
    week = 7 * 86_400.0
    world.mesos.advance(3.9 * week)
    assert world.mesos.running()
    world.mesos.advance(4.0 * week)
    assert world.mesos.running() == {}
    assert world.ended == [("t1", TaskState.KILLED)]
    world.cluster.start(framework_id, world.sink)
    world.mesos.settle()
    assert isinstance(world.sink.events[-1], FrameworkRemoved)
    with pytest.raises(ClusterUnavailable, match="removed"):
        world.cluster.revive()


def test_f25_a_removed_framework_stops_for_good(world):
    world.run()
    world.mesos.remove_framework(world.sink.of(Subscribed)[0].framework_id)
    world.mesos.settle()
    assert [type(e) for e in world.sink.events[-2:]] == [Disconnected, FrameworkRemoved]
    assert len(world.sink.of(Subscribed)) == 1


def test_f35_the_displaced_scheduler_does_not_take_part_any_more(world, kit):
    other, sink = FakeCluster(world.mesos), kit.Recorder()
    other.start(world.sink.of(Subscribed)[0].framework_id, sink)
    world.mesos.settle()
    assert isinstance(world.sink.events[-1], FrameworkDisplaced)
    world.mesos.disconnect(world.cluster)
    world.mesos.settle()
    assert len(world.sink.of(Subscribed)) == 1
    assert [type(e) for e in sink.events] == [Subscribed, OffersReceived]
    with pytest.raises(ClusterUnavailable, match="displaced"):
        world.cluster.revive()


def test_a_broken_stream_loses_what_was_under_way_and_updates_come_again(world):
    offer = world.offers()[-1]
    world.cluster.accept([offer.id], [TaskInfo("t1", "t1", "a1", 1.0, 64.0, ("x",))])
    world.mesos.disconnect(world.cluster)
    with pytest.raises(ClusterUnavailable):
        world.cluster.revive()
    world.mesos.settle()
    assert len(world.sink.of(Subscribed)) == 2
    assert world.states() == ["STARTING"]


def test_f02_a_replica_that_may_not_lead_does_not_subscribe(kit):
    may = [False]
    mesos, sink = FakeMesos(), kit.Recorder()
    cluster = FakeCluster(mesos, lambda: may[0])
    cluster.start(None, sink)
    mesos.settle()
    assert sink.events == []
    may[0] = True
    mesos.settle()
    assert sink.of(Subscribed)


@pytest.mark.parametrize(
    ("fault", "raised", "runs"),
    [
        (CallFault.UNAVAILABLE, ClusterUnavailable, False),
        (CallFault.SILENT, None, False),
        (CallFault.UNCLEAR_LOST, AcceptUnclear, False),
        (CallFault.UNCLEAR_APPLIED, AcceptUnclear, True),
    ],
)
def test_f17_f19_an_accept_may_go_wrong_in_every_way(world, fault, raised, runs):
    world.fault = fault
    if raised is None:
        world.run()
    else:
        with pytest.raises(raised) as caught:
            world.run()
        assert type(caught.value) is raised
    world.fault = None
    world.mesos.settle()
    assert ("t1" in world.mesos.running()) is runs
    if raised is AcceptUnclear:
        with pytest.raises(AcceptUnclear, match="reconcile"):
            world.run()


def test_time_does_not_go_back(world):
    world.mesos.advance(5.0)
    with pytest.raises(ValueError, match="back"):
        world.mesos.advance(4.0)
