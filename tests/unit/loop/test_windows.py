"""Maintenance windows of Mesos: the same as a drain, ahead of time, and inverse offers are answered accordingly."""

from __future__ import annotations

from reconciler.model.resources import InverseOffer, Offer
from reconciler.windows import Windows
from tests.unit.loop.bench import Leader, World
from tests.unit.loop.test_drains import on, ready


def only_agent(world: World) -> str:
    return next(agent for agent in sorted(world.mesos.agents) if on(world, agent))


def answers(world: World) -> list[bool]:
    return list(world.mesos.agreed.values())


def test_f37_an_agent_is_emptied_so_long_before_its_window_and_then_may_go() -> None:
    world, leader = ready()
    agent = only_agent(world)
    world.mesos.schedule_maintenance(agent, world.now + 900.0, 3600.0)
    leader.let_pass(120)
    assert on(world, agent), "the lead time of 600 s has not come"
    assert answers(world) == [False]
    leader.let_pass(300)
    assert on(world, agent) == []
    record = world.record()
    assert record.generation is not None
    assert (record.generation.number, record.restarts.total, record.lifecycle.value) == (1, 0, "STABLE")
    assert [drain.agent for drain in leader.loop.drains()] == [agent]


def test_f37_a_window_that_is_called_off_drains_nothing_any_more() -> None:
    world, leader = ready()
    agent = only_agent(world)
    world.mesos.schedule_maintenance(agent, world.now + 700.0, 3600.0)
    leader.let_pass(5)
    world.mesos.schedule_maintenance(agent, None)
    leader.let_pass(180)
    assert on(world, agent)
    assert leader.loop.drains() == ()
    assert not any("TASK_MOVING" in event.code for event in world.users.load_events("orders"))


def test_f37_a_new_leader_hears_of_the_window_again() -> None:
    world, leader = ready()
    agent = only_agent(world)
    world.mesos.schedule_maintenance(agent, world.now + 60.0, 3600.0)
    leader.let_pass(3)
    leader.die()
    after = Leader(world)
    after.let_pass(180)
    assert on(world, agent) == []


def test_f37_after_the_window_the_agent_is_like_every_other() -> None:
    told: list[tuple[str, bool, float]] = []
    windows = Windows(600.0, lambda *said: told.append(said))
    windows.asked([InverseOffer("i1", "a1", 1000.0, 100.0)], lambda _: (1, 1), 1.0)
    assert told == [("i1", False, 10.0)]
    assert windows.drains(399.0) == ()
    assert windows.next_at(399.0) == 400.0
    assert [drain.agent for drain in windows.drains(400.0)] == ["a1"]
    assert windows.next_at(400.0) == 1100.0
    assert windows.drains(1100.0) == ()
    windows.asked([InverseOffer("i2", "a1", 1000.0, None)], lambda _: (0, 0), 1.0)
    assert told[-1] == ("i2", True, 10.0)
    assert [drain.agent for drain in windows.drains(9999.0)] == ["a1"]
    windows.rescinded("i2")
    assert windows.drains(9999.0) == ()


def test_f37_an_offer_tells_of_a_window_and_of_its_end() -> None:
    windows = Windows(600.0, lambda *_: None)
    offer = Offer("o", "a1", "a1.example", "10.0.0.1", 1.0, 1024.0, unavailable_from=1000.0)
    windows.offered([offer], 1.0)
    assert [drain.agent for drain in windows.drains(500.0)] == ["a1"]
    windows.offered([Offer("o2", "a1", "a1.example", "10.0.0.1", 1.0, 1024.0)], 2.0)
    assert windows.drains(500.0) == ()
