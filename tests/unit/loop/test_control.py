"""Requests on their way through the loop: answered in the write that carries them out, once, whoever leads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.decide_operator import decide_operator, mark_of
from reconciler.model.control import GLOBAL, RawRequest, parse_request
from reconciler.model.operator import HeldJob, OperatorRecord
from reconciler.model.record import SpecRef
from reconciler.model.status import Status
from state.codec import decode_operator
from state.memory import OPERATOR
from tests.unit.loop.bench import Leader, World, started


def ask(world: World, name: str, action: str, id_: str | None = None, **args: Any) -> None:
    document: dict[str, Any] = {"action": action, "args": args, "by": "ann"}
    world.users.put_request(name, json.dumps(document | ({"id": id_} if id_ else {})).encode())


def status(world: World, name: str = "orders") -> Status:
    found = world.users.load_status(name)
    assert found is not None
    return found


def operator(world: World) -> OperatorRecord:
    return decode_operator(world.tree.operator[OPERATOR].data)


def many(world: World, count: int = 6) -> list[str]:
    names = [f"job-{number}" for number in range(count)]
    for name in names:
        world.apply(name)
    return names


def test_a_request_is_answered_in_the_status_and_removed() -> None:
    world = World()
    leader = started(world)
    ask(world, "orders", "pause", id_="one", reason="maintenance")
    leader.let_pass(3)
    assert world.tree.control == {}
    said = status(world)
    assert said.paused
    assert said.lifecycle == "STABLE"
    assert "maintenance" in said.why
    assert said.last_request is not None
    assert (said.last_request.id, said.last_request.accepted, said.last_request.by) == ("one", True, "ann")


def test_while_paused_nothing_is_killed_launched_or_called() -> None:
    world = World()
    leader = started(world)
    ask(world, "orders", "pause")
    leader.let_pass(3)
    world.log.clear()
    world.mesos.calls.clear()
    calls = len(world.flink.calls)
    world.apply(env={"A": "1"})
    victim = world.running()[0]
    world.flink.task_dead(victim)
    from reconciler.model.observation import TaskState

    world.mesos.set_state(victim, TaskState.FAILED, None, "exit status 1")
    leader.let_pass(120)
    assert [line for line in world.log if line.startswith(("launch", "kill"))] == []
    assert len(world.flink.calls) == calls
    assert world.record().generation is not None
    assert world.record().generation.number == 1  # type: ignore[union-attr]
    ask(world, "orders", "unpause")
    leader.let_pass(120)
    assert world.record().lifecycle.value == "STABLE"
    assert world.record().generation.number == 2  # type: ignore[union-attr]


def test_s4_a_request_whose_answer_was_not_persisted_is_carried_out_by_the_next_leader() -> None:
    world = World()
    leader = started(world)
    leader.hold("store")
    ask(world, "orders", "restore-from", id_="one", empty=True)
    leader.let_pass(2)
    leader.die()
    assert "orders" in world.tree.control
    after = Leader(world)
    after.let_pass(90)
    assert world.tree.control == {}
    assert world.record().generation is not None
    assert world.record().generation.number == 2  # type: ignore[union-attr]


def test_s4_a_request_whose_answer_got_lost_is_carried_out_once() -> None:
    world = World()
    leader = started(world)
    leader.session.fail_next(call="commit", applied=True)
    ask(world, "orders", "restore-from", id_="one", empty=True)
    leader.let_pass(90)
    record = world.record()
    assert record.generation is not None
    assert record.generation.number == 2
    assert [answer.id for answer in record.answers] == ["one"]


def test_the_same_id_written_again_is_not_carried_out_again() -> None:
    world = World()
    leader = started(world)
    for _ in range(2):
        ask(world, "orders", "restore-from", id_="one", empty=True)
        leader.let_pass(90)
    assert world.tree.control == {}
    record = world.record()
    assert record.generation is not None
    assert record.generation.number == 2
    assert [event.code for event in world.users.load_events("orders")].count("REQUEST_REPEATED") == 1


def test_a_request_about_no_job_is_answered_by_the_operator() -> None:
    world = World()
    leader = started(world)
    ask(world, "ordres", "pause", id_="one")
    world.users.put_request("Junk!", b"{")
    leader.let_pass(3)
    assert world.tree.control == {}
    assert "ordres" not in world.tree.status
    answers = {answer.id: answer for answer in operator(world).answers}
    assert 'there is no job "ordres"' in answers["one"].answer
    assert {event.code for event in world.users.load_events(GLOBAL)} == {"REQUEST_REFUSED"}


def test_a_request_about_a_quarantined_job_is_refused_with_the_reason() -> None:
    world = World()
    leader = started(world)
    leader.die()
    world.tree.put(world.tree.records, "orders", b"junk")
    after = Leader(world)
    ask(world, "orders", "pause")
    after.let_pass(3)
    assert world.tree.control == {}
    assert "cannot be read" in operator(world).answers[-1].answer


def test_everything_is_paused_across_a_change_of_leader_and_goes_on() -> None:
    world = World()
    leader = started(world)
    ask(world, GLOBAL, "pause", reason="the rack moves")
    leader.let_pass(3)
    assert status(world).paused
    leader.die()
    world.log.clear()
    after = Leader(world)
    world.apply(env={"A": "1"})
    world.apply("clicks")
    after.let_pass(60)
    assert [line for line in world.log if line.startswith(("launch", "kill"))] == []
    assert "the rack moves" in status(world).why
    ask(world, GLOBAL, "unpause")
    after.let_pass(120)
    assert world.record().generation.number == 2  # type: ignore[union-attr]
    assert world.record("clicks").lifecycle.value == "STABLE"


def test_f12_an_operator_record_that_cannot_be_read_leaves_everything_as_it_is() -> None:
    world = World()
    leader = started(world)
    leader.die()
    world.tree.put(world.tree.operator, OPERATOR, b"junk")
    world.log.clear()
    after = Leader(world)
    world.apply(env={"A": "1"})
    after.let_pass(30)
    assert [line for line in world.log if line.startswith(("launch", "kill"))] == []
    assert "operator's record cannot be read" in status(world).why


# Confirming a loss (S7)


def vanished(world: World, names: list[str]) -> str:
    """Somebody removes these jobs in one go; the mark that the status names."""
    jobs = world.tree.jobs
    assert jobs is not None
    for name in names:
        del jobs[name]
    world.tree.changed()
    return ""


def mark(world: World, name: str) -> str:
    why = status(world, name).error or ""
    assert "weir confirm " in why, why
    return why.rpartition("weir confirm ")[2].split()[0]


@pytest.fixture
def lost() -> tuple[World, Leader, list[str]]:
    """Six jobs of which five vanished at once."""
    world = World(agents=6)
    names = many(world)
    leader = Leader(world)
    leader.let_pass(90)
    vanished(world, names[:5])
    leader.let_pass(5)
    return world, leader, names


def test_f13_a_confirmed_mass_delete_is_carried_out(lost: tuple[World, Leader, list[str]]) -> None:
    world, leader, names = lost
    assert len(world.running()) == 12
    ask(world, GLOBAL, "confirm", held=mark(world, names[0]))
    leader.let_pass(120)
    assert {world.record(name).lifecycle.value for name in names[:5]} == {"DELETED"}
    assert world.record(names[5]).lifecycle.value == "STABLE"
    assert operator(world).held == ()


def test_f13_a_confirmation_of_something_else_is_refused(lost: tuple[World, Leader, list[str]]) -> None:
    world, leader, names = lost
    old = mark(world, names[0])
    world.users.delete_job(names[5])
    leader.let_pass(5)
    assert mark(world, names[0]) != old
    ask(world, GLOBAL, "confirm", held=old)
    leader.let_pass(60)
    assert len(world.running()) == 12
    assert not operator(world).answers[-1].accepted


def test_s7_jobs_that_were_put_back_do_not_turn_the_rest_into_deletes(lost: tuple[World, Leader, list[str]]) -> None:
    world, leader, names = lost
    for name in names[:3]:
        world.apply(name)
        leader.let_pass(5)
    leader.let_pass(60)
    assert len(world.running()) == 12, "two are still missing, which by itself would be a delete"
    leader.die()
    after = Leader(world)
    after.let_pass(60)
    assert len(world.running()) == 12, "a new leader does not forget the hold"
    for name in names[3:5]:
        world.apply(name)
    after.let_pass(60)
    assert operator(world).held == ()
    assert {world.record(name).lifecycle.value for name in names} == {"STABLE"}


def test_s7_a_confirmation_does_not_outlive_the_return_of_the_job(lost: tuple[World, Leader, list[str]]) -> None:
    world, leader, names = lost
    leader.hold("mesos", "flink")  # confirmed, but not carried out yet
    ask(world, "job-1", "confirm")
    leader.let_pass(2)
    leader.hold()
    leader.let_pass(90)
    assert world.record("job-1").lifecycle.value == "DELETED"
    assert len(world.running()) == 10, "only the one that was named"
    assert [job.name for job in operator(world).held] == ["job-0", "job-2", "job-3", "job-4"]
    assert names


def test_f13_a_confirmation_survives_a_change_of_leader(lost: tuple[World, Leader, list[str]]) -> None:
    world, leader, names = lost
    leader.hold("mesos", "flink")
    ask(world, GLOBAL, "confirm", held=mark(world, names[0]))
    leader.let_pass(2)
    leader.die()
    after = Leader(world)
    after.let_pass(150)
    assert {world.record(name).lifecycle.value for name in names[:5]} == {"DELETED"}


# The pure part


def test_a_mark_names_jobs_and_the_nodes_that_vanished() -> None:
    one = (HeldJob("a", 1), HeldJob("b", 2))
    assert mark_of(one) == mark_of(reversed(one))
    assert mark_of(one) != mark_of((HeldJob("a", 1), HeldJob("b", 3)))
    assert mark_of(one) != mark_of(one[:1])


def test_a_job_that_is_back_takes_its_confirmation_with_it() -> None:
    record = OperatorRecord(held=(HeldJob("a", 1, confirmed=True),))
    assert decide_operator(record, {}, [], 0.0).record.held == ()
    assert decide_operator(record, {"a": 5}, [], 0.0).record.held == (HeldJob("a", 5),)


def test_the_operators_answers_are_bounded_and_remembered() -> None:
    record = OperatorRecord()
    for number in range(50):
        asked = parse_request(RawRequest("x", SpecRef(number, 0), b'{"action": "force"}'))
        record = decide_operator(record, {}, [(asked, "there is no job")], 0.0).record
    assert len(record.answers) == 32
