"""S7: how much of what runs is interrupted at once, whoever leads and whatever decided it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import decide_ending, loop
from reconciler.disruptions import DisruptionCap, disruptions
from reconciler.model.decision import Decision, Desired
from reconciler.model.observation import Observation
from reconciler.model.policy import Policy
from reconciler.model.record import Ending, EndMode, EndReason, Record, Role
from tests.unit.decide.scenario import Scenario, spec
from tests.unit.loop.bench import Leader, World

NAMES = [f"job-{number}" for number in range(6)]


def fleet(**settings: Any) -> tuple[World, Leader]:
    """Six STABLE jobs; one TaskManager each."""
    world = World(agents=4)
    for name in NAMES:
        world.apply(name)
    leader = Leader(world, **settings)
    leader.let_pass(90)
    assert {world.record(name).lifecycle.value for name in NAMES} == {"STABLE"}
    world.log.clear()
    return world, leader


def begun(world: World) -> int:
    """Jobs whose first generation was ended, or is being ended."""
    generations = [world.record(name).generation for name in NAMES]
    return sum(1 for each in generations if each is None or each.number > 1 or each.ending is not None)


def edit_all(world: World, **changes: Any) -> None:
    for name in NAMES:
        world.apply(name, **(changes or {"env": {"A": "1"}}))


def running() -> Scenario:
    it = Scenario(spec(job={"parallelism": 2}, taskManager={"slots": 1}))
    it.bring_up()
    return it


def test_f13_s7_an_edit_of_every_job_ends_so_many_generations_and_no_more() -> None:
    world, leader = fleet(disruptions=2, disruption_interval_s=60.0)
    edit_all(world)
    leader.let_pass(50)
    assert begun(world) == 2
    leader.let_pass(30)
    assert begun(world) == 4
    leader.let_pass(60)
    assert begun(world) == 6


def test_s7_a_job_that_waits_for_its_turn_runs_on_and_says_so_with_numbers() -> None:
    world, leader = fleet(disruptions=1, disruption_interval_s=600.0)
    edit_all(world)
    leader.let_pass(20)
    said = [status.why for name in NAMES if (status := world.users.load_status(name)) and "in line" in status.why]
    assert len(said) == 5
    assert "at most 1 disruptions of running jobs are begun in 600 s" in said[0]
    assert {word for why in said for word in why.split() if word.isdigit() and len(word) == 1} >= {"1", "2", "5"}
    assert "weir pause --all" in said[0]
    assert len(world.running()) >= 10


def test_s7_what_waits_is_given_up_when_nobody_wants_it_any_more() -> None:
    world, leader = fleet(disruptions=1, disruption_interval_s=60.0)
    edit_all(world)
    leader.let_pass(10)
    assert begun(world) == 1
    for name in NAMES:
        world.apply(name)
    leader.let_pass(300)
    assert begun(world) == 1


def test_s7_a_job_that_waits_for_its_turn_still_gets_its_lost_task_manager_back() -> None:
    world, leader = fleet(disruptions=1, disruption_interval_s=600.0)
    edit_all(world)
    leader.let_pass(10)
    waiting = next(name for name in NAMES if "in line" in world.users.load_status(name).why)  # type: ignore[union-attr]
    victim = next(task for task in world.running() if task.startswith(waiting) and ".tm." in task)
    from reconciler.model.observation import TaskState

    world.flink.task_dead(victim)
    world.mesos.set_state(victim, TaskState.FAILED, None, "exit status 1")
    leader.let_pass(60)
    tasks = [task for task in world.running() if task.startswith(waiting) and ".tm." in task]
    assert len(tasks) == 1
    assert tasks != [victim]
    assert world.record(waiting).generation.number == 1  # type: ignore[union-attr]


def test_f13_s7_a_new_leader_counts_what_the_one_before_began() -> None:
    world, leader = fleet(disruptions=2, disruption_interval_s=120.0)
    edit_all(world)
    leader.let_pass(10)
    for _ in range(3):
        leader.die()
        leader = Leader(world, disruptions=2, disruption_interval_s=120.0)
        leader.let_pass(20)
    assert begun(world) == 2
    leader.let_pass(120)
    assert begun(world) == 4


def test_s7_deletes_that_a_person_confirmed_wait_for_nothing() -> None:
    import json

    world, leader = fleet(disruptions=1, disruption_interval_s=600.0)
    for name in NAMES:
        world.users.delete_job(name)
    leader.let_pass(10)
    mark = next(iter(leader.loop.jobs.values())).mark
    world.users.put_request("_global", json.dumps({"action": "confirm", "args": {"held": mark}}).encode())
    leader.let_pass(60)
    assert {world.record(name).lifecycle.value for name in NAMES} == {"DELETED"}


def test_s7_what_a_person_asks_for_one_job_waits_for_nothing() -> None:
    world, leader = fleet(disruptions=1, disruption_interval_s=600.0)
    edit_all(world)
    leader.let_pass(10)
    waiting = next(name for name in NAMES if "in line" in world.users.load_status(name).why)  # type: ignore[union-attr]
    world.users.put_request(waiting, b'{"action": "restore-from", "args": {"latest": true}}')
    leader.let_pass(60)
    assert world.record(waiting).generation.number == 2  # type: ignore[union-attr]


def test_f13_s7_a_way_to_disrupt_that_does_not_know_of_the_cap_is_held_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad release of the operator: every job is ended at once, for no reason."""
    world, leader = fleet(disruptions=1, disruption_interval_s=600.0)
    shipped = loop.decide

    def mad(desired: Desired, record: Record | None, seen: Observation, now: float, policy: Policy) -> Decision:
        made = shipped(desired, record, seen, now, policy)
        generation = made.record.generation if made.record is not None else None
        if made.record is None or generation is None or generation.ending is not None or generation.number > 1:
            return made
        ending = Ending(EndReason.RESTART, EndMode.KILL, now)
        return replace(made, record=replace(made.record, generation=replace(generation, ending=ending)))

    monkeypatch.setattr(loop, "decide", mad)
    leader.let_pass(60)
    assert begun(world) == 1


def test_a_small_installation_notices_nothing_of_the_defaults() -> None:
    world, leader = fleet()
    edit_all(world)
    leader.let_pass(10)
    assert begun(world) == 6


# What counts


def test_the_end_of_a_generation_counts_once_whatever_follows_from_it() -> None:
    it = running()
    before = it.record
    it.edit(spec(env={"A": "1"}, job={"parallelism": 2}, taskManager={"slots": 1}))
    it.step()
    assert len(disruptions(before, it.record)) == 1
    before = it.record
    it.stopped()
    it.step()
    assert disruptions(before, it.record) == frozenset()


def test_an_end_that_is_seen_and_not_begun_by_us_does_not_count() -> None:
    from reconciler.model.observation import JobState

    it = running()
    before = it.record
    it.answer(JobState.FAILED, failure="a bug", latest_checkpoint_id=9)
    it.step()
    assert it.generation.ending is not None
    assert disruptions(before, it.record) == frozenset()


def test_a_surplus_attempt_does_not_count_and_the_last_one_does() -> None:
    it = running()
    assert it.record is not None
    first = it.of(Role.JOB_MANAGER)[0]
    twin = replace(first, attempt=90, task_id="twin")
    both = replace(it.record, tasks=(*it.record.tasks, twin))
    one = replace(both, tasks=tuple(replace(t, kill_since=it.now) if t is twin else t for t in both.tasks))
    assert disruptions(both, one) == frozenset()
    none = replace(both, tasks=tuple(replace(t, kill_since=it.now) for t in both.tasks))
    assert len(disruptions(both, none)) == 4


def test_task_managers_that_are_no_longer_needed_count_each() -> None:
    it = running()
    assert it.record is not None
    managers = it.of(Role.TASK_MANAGER)
    killed = replace(
        it.record, tasks=tuple(replace(t, kill_since=it.now) if t in managers else t for t in it.record.tasks)
    )
    assert disruptions(it.record, killed) == {task.task_id for task in managers}


# The cap itself


def decision(it: Scenario, why: str | None) -> Decision:
    """As decide() makes it: an end, or none while it is held back."""
    assert it.record is not None
    if why is not None:
        return Decision(it.record, (), why)
    turn = decide_ending.Turn(it.desired, it.record, it.observation(), it.now, it.policy)
    decide_ending.begin(turn, EndReason.UPGRADE, "edited")
    return turn.decision()


def test_who_came_first_has_the_first_turn() -> None:
    cap = DisruptionCap(1, 60.0)
    it = running()
    ask = lambda job, now: cap.bound(  # noqa: E731
        job, replace(it.record, name=job), renamed(decision(it, None), job), lambda why: decision(it, why), now
    )[1]
    assert ask("one", 0.0) is None
    assert ask("two", 1.0) == 60.0
    assert ask("three", 2.0) == 120.0
    assert ask("three", 61.0) is not None
    assert ask("two", 61.0) is None
    assert ask("three", 119.0) is not None
    assert ask("three", 121.5) is None


def test_who_no_longer_waits_keeps_nobody_from_his_turn() -> None:
    cap = DisruptionCap(1, 60.0)
    it = running()
    ask = lambda job, now: cap.bound(  # noqa: E731
        job, replace(it.record, name=job), renamed(decision(it, None), job), lambda why: decision(it, why), now
    )[1]
    ask("one", 0.0)
    ask("two", 1.0)
    ask("three", 2.0)
    cap.bound("two", it.record, decision(it, "nothing"), lambda why: decision(it, why), 3.0)
    assert ask("three", 61.0) is None


def test_a_decision_that_is_larger_than_all_that_may_be_is_carried_out_alone() -> None:
    cap = DisruptionCap(1, 60.0)
    it = running()
    assert it.record is not None
    killed = replace(
        it.record,
        tasks=tuple(replace(t, kill_since=it.now) if t.role is Role.TASK_MANAGER else t for t in it.record.tasks),
    )
    both = Decision(killed)
    assert cap.bound("one", it.record, both, lambda why: decision(it, why), 0.0) == (both, None)
    other = Decision(renamed(decision(it, None), "two").record)
    assert cap.bound("two", replace(it.record, name="two"), other, lambda why: decision(it, why), 1.0)[1] == 60.0


def renamed(made: Decision, job: str) -> Decision:
    assert made.record is not None
    return replace(made, record=replace(made.record, name=job))
