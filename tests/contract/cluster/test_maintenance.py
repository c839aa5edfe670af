"""Maintenance windows: what offers say of them, and inverse offers to whoever holds tasks on such an agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model.events import InverseOfferRescinded, InverseOffersReceived

HOUR = 3600.0


@pytest.fixture
def scheduler(world) -> Iterator:
    it = world.scheduler()
    it.start()
    yield it
    world.maintain(None)


def inverse(scheduler, since=0):
    events = list(scheduler.events)[since:]
    return [offer for event in events if isinstance(event, InverseOffersReceived) for offer in event.offers]


def test_f37_a_window_is_in_the_offers_of_its_agent_and_gone_when_it_is_called_off(world, scheduler):
    agent_id = scheduler.offer().agent_id
    since = scheduler.mark()
    start = world.maintain(agent_id, HOUR, HOUR)
    found = lambda: [o for o in scheduler.open_offers(since) if o.agent_id == agent_id]  # noqa: E731
    assert world.wait(found)[0].unavailable_from == pytest.approx(start, abs=0.01)
    since = scheduler.mark()
    world.maintain(None)
    assert world.wait(found)[0].unavailable_from is None


def test_f37_who_holds_a_task_there_is_asked_until_the_window_is_called_off(world, scheduler):
    task = scheduler.run()
    since = scheduler.mark()
    start = world.maintain(task.agent_id, HOUR, 2 * HOUR)
    first = world.wait(lambda: inverse(scheduler, since))[0]
    assert first.agent_id == task.agent_id
    assert first.start == pytest.approx(start, abs=0.01)
    assert first.duration_s == 2 * HOUR
    scheduler.cluster.decline_inverse([first.id], 1.0)
    second = world.wait(lambda: [o for o in inverse(scheduler, since) if o.id != first.id])[0]
    assert second.agent_id == task.agent_id
    scheduler.cluster.accept_inverse([second.id], 1.0)
    third = world.wait(lambda: [o for o in inverse(scheduler, since) if o.id not in (first.id, second.id)])[0]
    world.maintain(None)
    world.wait(lambda: [e for e in scheduler.of(InverseOfferRescinded) if e.offer_id == third.id])
