"""`weir drain` and `weir undrain` on the in-memory store."""

from __future__ import annotations

import json
from dataclasses import replace

from reconciler.model.operator import Drain, OperatorRecord
from reconciler.model.record import Answer
from reconciler.model.status import TaskStatus
from reconciler.report import timestamp
from state.codec import decode_operator, encode_operator
from state.memory import OPERATOR
from tests.unit.cli.conftest import NOW, World

HELD = TaskStatus(id="even-ids.0.1.tm.0.2", role="tm", state="TASK_RUNNING", agent="S1", hostname="host-1")


def remember(world: World, *drains: Drain, answers: tuple[Answer, ...] = ()) -> None:
    world.tree.put(world.tree.operator, OPERATOR, encode_operator(OperatorRecord(draining=drains, answers=answers)))


def takes_up(world: World, after: int = 3) -> None:
    """A leader that takes every drain up, and has the agent empty some looks later."""

    def step(count: int) -> None:
        for name, node in list(world.tree.control.items()):
            document = json.loads(node.data)
            del world.tree.control[name]
            agent = document["args"]["agent"]
            told = Answer(document["id"], document["action"], True, f"{agent} is drained: 1 task moves away", 1.0)
            remember(world, Drain(agent, NOW, document["by"]), answers=(told,))
        if count >= after:
            record = decode_operator(world.tree.operator[OPERATOR].data)
            world.says(task_list=())
            remember(world, *(replace(each, emptied_at=NOW) for each in record.draining))

    world.on_sleep = step


def test_a_drain_is_asked_of_all_jobs_and_its_answer_printed(world: World) -> None:
    takes_up(world)
    result = world.weir("drain", "host-1", "--reason", "new disks")
    assert result.exit_code == 0, result.output
    assert result.stdout == "all jobs: host-1 is drained: 1 task moves away\n"


def test_waiting_ends_with_the_sentence_that_nothing_is_left(world: World) -> None:
    world.put()
    world.says(task_list=(HELD,))
    takes_up(world)
    result = world.weir("drain", "host-1", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "nothing is left on host-1"


def test_what_is_left_is_told_whenever_it_changes(world: World) -> None:
    world.put()
    world.says(task_list=(HELD,), why="waiting for an offer")
    remember(world, Drain("host-1", NOW))

    def step(number: int) -> None:
        if number == 3:
            world.says(task_list=(HELD,), why="the replacement starts")
        elif number == 6:
            remember(world, Drain("host-1", NOW, emptied_at=NOW))

    world.on_sleep = step
    result = world.weir("drain", "host-1", "--wait")
    assert result.stdout == "nothing is left on host-1\n"
    assert result.stderr.splitlines() == [
        f"still on host-1: even-ids: {HELD.id} (TASK_RUNNING), waiting for an offer",
        f"still on host-1: even-ids: {HELD.id} (TASK_RUNNING), the replacement starts",
    ]


def test_waiting_again_does_not_ask_again(world: World) -> None:
    remember(world, Drain("host-1", NOW, emptied_at=NOW))
    result = world.weir("drain", "host-1", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout == "nothing is left on host-1\n"


def test_a_moment_without_zookeeper_does_not_end_the_waiting(world: World) -> None:
    remember(world, Drain("host-1", NOW))

    def step(number: int) -> None:
        session = world.tree.sessions[-1]
        session.suspend() if number < 3 else session.resume()
        if number == 3:
            remember(world, Drain("host-1", NOW, emptied_at=NOW))

    world.on_sleep = step
    result = world.weir("drain", "host-1", "--wait")
    assert (result.exit_code, result.stdout) == (0, "nothing is left on host-1\n")
    assert result.stderr.count("it is tried again") == 1


def test_a_drain_that_takes_too_long_names_what_is_left_and_why(world: World) -> None:
    world.put()
    world.says(task_list=(HELD,), why="moving TaskManager 0 away from host-1, which is drained: waiting for an offer")
    remember(world, Drain("host-1", NOW))
    result = world.weir("drain", "host-1", "--wait", "--timeout", "10s")
    assert result.exit_code == 4
    assert "after 10s there is still on host-1: even-ids: even-ids.0.1.tm.0.2 (TASK_RUNNING)" in result.stderr
    assert "waiting for an offer" in result.stderr


def test_an_agent_that_is_not_drained_any_more_is_not_waited_for(world: World) -> None:
    remember(world, Drain("host-1", NOW))
    world.on_sleep = lambda _: remember(world)
    result = world.weir("drain", "host-1", "--wait")
    assert result.exit_code == 3
    assert "host-1 is not drained any more" in result.stderr


def test_drained_agents_are_listed_with_what_is_left_there(world: World) -> None:
    world.put()
    world.says(task_list=(HELD,))
    remember(world, Drain("S1", NOW - 60, "ann", "new disks"), Drain("host-2", NOW - 60, emptied_at=NOW))
    result = world.weir("drain")
    assert "1 task left there" in result.stdout
    assert "new disks" in result.stdout
    assert "nothing is left on host-2" in result.stdout


def test_machines_read_the_list_and_the_answer(world: World) -> None:
    world.put()
    world.says(task_list=(HELD,), why="waiting for an offer")
    remember(world, Drain("S1", NOW - 60, "ann", "new disks"), Drain("host-2", NOW - 60, emptied_at=NOW))

    held, empty = json.loads(world.weir("drain", "-o", "json").stdout)
    assert (held["agent"], held["since"], held["emptied"]) == ("S1", timestamp(NOW - 60), None)
    assert held["left"] == [{"job": "even-ids", "task": f"{HELD.id} (TASK_RUNNING), waiting for an offer"}]
    assert (empty["emptied"], empty["left"]) == (timestamp(NOW), [])
    remember(world)
    assert json.loads(world.weir("drain", "-o", "json").stdout) == []
    takes_up(world)
    waited = world.weir("drain", "host-1", "--wait", "-o", "json")
    assert json.loads(waited.stdout)["answer"] == "host-1 is drained: 1 task moves away"
    assert "nothing is left on host-1" in waited.stderr


def test_the_list_of_jobs_names_drained_agents(world: World) -> None:
    world.put()
    world.says(task_list=(HELD,))
    remember(world, Drain("host-1", NOW))
    result = world.weir("get")
    assert "note: host-1 is drained; 1 task left there" in result.stderr
    assert "host-1" not in world.weir("get", "-o", "json").stderr


def test_no_drained_agent_is_said_so(world: World) -> None:
    assert "no agent is drained" in world.weir("drain").stderr


def test_an_agent_is_given_back(world: World) -> None:
    remember(world, Drain("host-1", NOW))
    takes_up(world)
    result = world.weir("undrain", "host-1")
    assert result.exit_code == 0, result.output
