"""What a leader remembers about a job is bounded, however often the job goes round."""

from __future__ import annotations

from reconciler.effects import SPARE as KEYS
from reconciler.effects import Effects
from reconciler.jobs import JobEntry
from reconciler.model.events import EffectDone
from reconciler.model.record import Record, Retired, SpecRef
from reconciler.timers import SPARE, Timers
from tests.unit.loop.bench import World, started

MONTH = 30 * 86_400.0


def test_a_key_that_fires_soon_again_and_again_leaves_no_far_times_behind() -> None:
    timers = Timers()
    for now in range(10_000):
        timers.set_earlier("job/orders", now + MONTH)
        timers.set_earlier("job/orders", now + 0.5)
        assert timers.due(now + 0.5) == ["job/orders"]
    timers.set("job/payments", 7.0)
    assert len(timers) <= 2 + SPARE
    assert timers.due(7.0) == ["job/payments"]


def test_what_was_removed_is_forgotten_once_the_record_does_not_name_it() -> None:
    entry = JobEntry("orders")
    record = Record("orders", "uid", SpecRef(1, 0), retired=(Retired(1, "a", "c", None),), disposing=("/sp/1",))
    entry.adopt(record, 0)
    for key in ("cleanup/a", "dispose//sp/1"):
        assert entry.note_effect(EffectDone("orders", key))
    entry.adopt(record, 1)
    assert (entry.cleaned, entry.disposed) == ({"a"}, {"/sp/1"})
    entry.adopt(Record("orders", "uid", SpecRef(1, 0)), 2)
    assert (entry.cleaned, entry.disposed) == (set(), set())


def test_keys_of_calls_that_ended_long_ago_are_forgotten_and_failures_are_counted() -> None:
    world = World()
    leader = started(world)
    effects: Effects = leader.loop._effects
    for number in range(10 * KEYS):
        effects.done(f"kill/{number}", world.now + 10 * number)
        effects.done("cleanup/again", world.now + 10 * number, "no answer")
    assert len(effects._not_before) <= 2 * KEYS
    assert effects._failures["cleanup/again"] == 10 * KEYS


def test_jobs_that_go_round_leave_nothing_behind_in_the_leader() -> None:
    world = World()
    leader = started(world)
    sizes = []
    for _ in range(5):
        world.users.delete_job("orders")
        leader.let_pass(60)
        world.apply()
        leader.let_pass(60)
        entry = leader.loop.jobs["orders"]
        sizes.append((len(entry.cleaned), len(entry.disposed), len(entry.tasks), len(leader.loop.jobs)))
    assert set(sizes[2:]) == {sizes[2]}
    assert len(leader.loop._timers) <= 2 * 8 + SPARE
