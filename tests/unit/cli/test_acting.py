"""Commands by which people act: edits that keep what others wrote, requests with their answers, plans, histories."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from reconciler.model.control import GLOBAL
from reconciler.model.operator import OperatorRecord
from reconciler.model.record import (
    Answer,
    Generation,
    Lifecycle,
    PastGeneration,
    Record,
    Snapshot,
    SnapshotKind,
    SpecRef,
)
from reconciler.model.spec import JobSpec
from reconciler.model.status import JobEvent, RequestStatus
from reconciler.ports import StoreError, StoreUnavailable
from state.codec import encode_events, encode_operator, encode_record
from state.memory import OPERATOR
from tests.unit.cli.conftest import SPEC, World


def record(world: World, **changes: Any) -> Record:
    raw = world.store.load_job("even-ids")
    assert raw is not None
    spec = JobSpec.model_validate(SPEC)
    base = Record("even-ids", "0123456789", SpecRef(raw.ref.czxid, raw.ref.version), Lifecycle.STABLE, spec=spec,
                  stable_spec=spec, generation=Generation(1, spec, "ab" * 16, "c-1", 1.0, running_since=2.0,
                                                          was_running=True), next_generation=2)  # fmt: skip
    found = replace(base, **changes)
    world.remembers(found)
    return found


def answers(world: World, accepted: bool = True, said: str = "done") -> list[dict[str, Any]]:
    """A leader that answers every request at the next look; what it was asked."""
    asked: list[dict[str, Any]] = []

    def answer(_: int) -> None:
        for name, node in list(world.tree.control.items()):
            document = json.loads(node.data)
            asked.append({"name": name, **document})
            del world.tree.control[name]
            if name == GLOBAL:
                told = Answer(document["id"], document["action"], accepted, said, 1.0)
                world.tree.put(world.tree.operator, OPERATOR, encode_operator(OperatorRecord(answers=(told,))))
            else:
                last = RequestStatus(id=document["id"], action=document["action"], accepted=accepted, answer=said)
                world.says(name, last_request=last)

    world.on_sleep = answer
    return asked


# Edits


def test_a_savepoint_raises_the_nonce_and_keeps_everything_else_as_it_was_written(world: World) -> None:
    text = """{
  "flinkVersion": "2.2",
  "env": {"Z": "1", "A": "2"},
  "job": {"uri": "file:///srv/job.py", "type": "python"}
}"""
    world.put(data=text.encode())
    result = world.weir("savepoint", "even-ids")
    assert result.exit_code == 0, result.output
    stored = world.stored().decode()
    assert json.loads(stored)["job"]["savepointTriggerNonce"] == 1
    assert list(json.loads(stored)) == ["flinkVersion", "env", "job"]
    assert list(json.loads(stored)["env"]) == ["Z", "A"]
    assert stored.startswith('{\n  "flinkVersion"'), "indented as before, without defaults"
    world.weir("savepoint", "even-ids")
    assert json.loads(world.stored())["job"]["savepointTriggerNonce"] == 2


def test_a_document_on_one_line_stays_on_one_line(world: World) -> None:
    world.put(data=b'{"flinkVersion":"2.2","job":{"type":"python","uri":"file:///srv/job.py"}}')
    world.weir("scale", "even-ids", "7")
    assert (
        world.stored() == b'{"flinkVersion":"2.2","job":{"type":"python","uri":"file:///srv/job.py","parallelism":7}}'
    )


def test_the_path_of_a_savepoint_is_all_that_stands_on_stdout(world: World) -> None:
    world.put()
    world.says()
    record(world)

    def complete(_: int) -> None:
        world.says()
        done = Snapshot(SnapshotKind.SAVEPOINT, "file:/srv/sp/9", 1, 9, "t", time=5.0, reason="manual")
        record(world, savepoint_nonce=1, snapshots=(done,))

    world.on_sleep = complete
    result = world.weir("savepoint", "even-ids", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout == "file:/srv/sp/9\n"


def test_a_savepoint_that_fails_is_told(world: World) -> None:
    world.put()
    world.says()
    record(world)

    def fail(_: int) -> None:
        world.says()
        record(world, savepoint_nonce=1)

    world.on_sleep = fail
    result = world.weir("savepoint", "even-ids", "--wait")
    assert result.exit_code == 1
    assert 'the savepoint of "even-ids" failed' in result.stderr


def test_suspend_restart_and_resume_edit_their_field(world: World) -> None:
    world.put()
    assert world.weir("suspend", "even-ids", "--yes").exit_code == 0
    assert json.loads(world.stored())["job"]["state"] == "suspended"
    again = world.weir("suspend", "even-ids", "--yes")
    assert again.exit_code == 0
    assert "so already" in again.stderr
    assert world.weir("resume", "even-ids").exit_code == 0
    assert json.loads(world.stored())["job"]["state"] == "running"
    assert world.weir("restart", "even-ids", "--yes").exit_code == 0
    assert json.loads(world.stored())["restartNonce"] == 1


@pytest.mark.parametrize("command", [["suspend", "even-ids"], ["restart", "even-ids"], ["force", "even-ids"],
                                     ["rollback", "even-ids"], ["restore-from", "even-ids", "--empty"],
                                     ["fence", "even-ids", "--generation", "1"]])  # fmt: skip
def test_destructive_commands_need_a_yes(world: World, command: list[str]) -> None:
    world.put()
    before = world.stored()
    result = world.weir(*command)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert (world.stored(), world.tree.control) == (before, {})


def test_an_edit_that_meets_another_one_takes_both(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put()
    from state.memory import MemoryStore

    shipped, met = MemoryStore.put_job, []

    def meeting(self: MemoryStore, name: str, data: bytes, *args: Any, **more: Any) -> int:
        if not met:
            met.append(1)
            world.put(data={**SPEC, "env": {"THEIRS": "1"}})
        return shipped(self, name, data, *args, **more)

    monkeypatch.setattr(MemoryStore, "put_job", meeting)
    assert world.weir("scale", "even-ids", "5").exit_code == 0
    found = json.loads(world.stored())
    assert (found["env"], found["job"]["parallelism"]) == ({"THEIRS": "1"}, 5)


def test_an_edit_of_what_is_not_valid_or_not_there_is_refused(world: World) -> None:
    assert world.weir("scale", "nobody", "2").exit_code == 3
    world.put(data=b"{")
    result = world.weir("scale", "even-ids", "2")
    assert result.exit_code == 1
    assert "correct it first" in result.stderr
    assert world.weir("scale", "even-ids", "0").exit_code == 2


# Requests


def test_a_request_is_written_and_its_answer_printed(world: World) -> None:
    world.put()
    asked = answers(world, said="paused: it is observed")
    result = world.weir("pause", "even-ids", "--reason", "the rack moves")
    assert result.exit_code == 0, result.output
    assert result.stdout == "even-ids: paused: it is observed\n"
    (request,) = asked
    assert (request["name"], request["action"], request["args"]) == ("even-ids", "pause", {"reason": "the rack moves"})
    assert request["by"]


@pytest.mark.parametrize(
    ("command", "action", "args"),
    [
        (["unpause", "even-ids"], "unpause", {}),
        (["fence", "even-ids", "--generation", "3", "--yes"], "fence", {"generation": 3}),
        (["restore-from", "even-ids", "--path", "file:/sp", "--yes"], "restore-from", {"path": "file:/sp"}),
        (["restore-from", "even-ids", "--latest", "--yes"], "restore-from", {"latest": True}),
        (["restore-from", "even-ids", "--empty", "--yes"], "restore-from", {"empty": True}),
        (["rollback", "even-ids", "--yes"], "rollback", {}),
        (["rollback", "even-ids", "--generation", "2", "--yes"], "rollback", {"generation": 2}),
        (["force", "even-ids", "--yes"], "force", {}),
    ],
)
def test_what_each_command_asks_for(world: World, command: list[str], action: str, args: dict[str, Any]) -> None:
    world.put()
    asked = answers(world)
    result = world.weir(*command)
    assert result.exit_code == 0, result.output
    assert (asked[0]["action"], asked[0]["args"]) == (action, args)


def test_machines_read_the_answer_of_a_request(world: World) -> None:
    world.put()
    asked = answers(world, said="paused: it is observed")

    about_one = json.loads(world.weir("pause", "even-ids", "--reason", "why", "-o", "json").stdout)
    about_all = yaml.safe_load(world.weir("pause", "--all", "-o", "yaml").stdout)

    assert about_one == {"name": "even-ids", "action": "pause", "args": {"reason": "why"}, "id": asked[0]["id"],
                         "answer": "paused: it is observed"}  # fmt: skip
    assert (about_all["name"], about_all["action"]) == (None, "pause")


def test_a_refusal_is_an_error_with_its_reason(world: World) -> None:
    world.put()
    answers(world, accepted=False, said="nothing waits for it")
    result = world.weir("fence", "even-ids", "--generation", "1", "--yes")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: fence is refused: nothing waits for it"
    assert result.stdout == ""


def test_a_request_that_nobody_answers_is_taken_back(world: World) -> None:
    world.put()
    world.nobody_leads()
    result = world.weir("pause", "even-ids", "--timeout", "5s")
    assert result.exit_code == 4
    assert "no replica leads" in result.stderr
    assert world.tree.control == {}


@pytest.mark.parametrize("command", [["force", "even-ids"], ["fence", "even-ids", "--generation", "1"]])
def test_what_is_forced_for_a_delete_is_waited_for_until_the_job_is_gone(world: World, command: list[str]) -> None:
    world.says(lifecycle="DELETING", why="waiting for its savepoint")
    answers(world)
    answer = world.on_sleep

    def step(number: int) -> None:
        answer(number)
        if number == 3:
            world.says(lifecycle="DELETED", why="deleted")

    world.on_sleep = step
    result = world.weir(*command, "--yes", "--wait")

    assert result.exit_code == 0, result.output
    assert result.stdout == "even-ids: done\neven-ids is gone\n"


@pytest.mark.parametrize("command", [["rollback", "even-ids"], ["restore-from", "even-ids", "--latest"],
                                     ["force", "even-ids"], ["fence", "even-ids", "--generation", "1"]])  # fmt: skip
def test_how_long_is_waited_after_the_answer_can_be_said(world: World, command: list[str]) -> None:
    world.put()
    world.says(lifecycle="UPGRADING", why="stopping")
    answers(world)
    answer = world.on_sleep

    def step(number: int) -> None:
        answer(number)
        world.says(lifecycle="UPGRADING", why="stopping", last_request=world.store.load_status("even-ids").last_request)

    world.on_sleep = step
    result = world.weir(*command, "--yes", "--wait", "--wait-timeout", "7s")

    assert result.exit_code == 4
    assert 'error: "even-ids" is not' in result.stderr
    assert "after 7s: stopping" in result.stderr


def test_a_moment_without_zookeeper_is_waited_out(world: World) -> None:
    world.put()
    asked = answers(world)
    world.on_sleep = after_silence(world, 2, world.on_sleep)

    result = world.weir("rollback", "even-ids", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout == "even-ids: done\n"
    assert result.stderr.count("note: ZooKeeper does not answer: load_status: not connected with ZooKeeper") == 1
    assert len(asked) == 1
    assert world.tree.control == {}


def after_silence(world: World, looks: int, then: Callable[[int], None]) -> Callable[[int], None]:
    """ZooKeeper does not answer for some looks after the first; then something happens."""

    def step(number: int) -> None:
        session = world.tree.sessions[-1]
        session.suspend() if number == 1 else None
        if number == 1 + looks:
            session.resume()
        if number > looks:
            then(number)

    return step


@pytest.mark.parametrize(("about", "look"), [(["even-ids"], "weir events even-ids"), (["--all"], "weir events")])
def test_a_request_that_cannot_be_taken_back_may_still_be_carried_out(
    world: World, about: list[str], look: str
) -> None:
    world.put()
    world.on_sleep = lambda _: world.tree.sessions[-1].suspend()

    result = world.weir("pause", *about, "--timeout", "5s")

    assert result.exit_code == 4
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: no answer after 5s, and ZooKeeper does not answer")
    assert last.endswith(f"the request may still be carried out; look before you ask again: {look}")
    assert len(world.tree.control) == 1


def test_an_edit_without_an_answer_is_not_to_be_asked_for_twice_unseen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put()
    from state.memory import MemoryStore

    shipped = MemoryStore.put_job

    def lost(self: MemoryStore, *args: Any, **more: Any) -> int:
        shipped(self, *args, **more)
        raise StoreUnavailable("writing: the answer was lost")

    monkeypatch.setattr(MemoryStore, "put_job", lost)
    result = world.weir("restart", "even-ids", "--yes")

    assert result.exit_code == 5
    assert "it may have been written; look before you ask again: weir events even-ids" in result.stderr
    assert "try again" not in result.stderr


@pytest.mark.parametrize("command", [["restart", "even-ids"], ["delete", "even-ids"]])
def test_what_is_written_is_done_although_zookeeper_is_silent_then(
    world: World, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    world.put()

    def silent(_: object) -> None:
        raise StoreUnavailable("load_leader: no answer")

    from state.memory import MemoryStore

    monkeypatch.setattr(MemoryStore, "load_leader", silent)
    result = world.weir(*command, "--yes")

    assert result.exit_code == 0
    assert "note: it is written, but whether a replica leads is unknown" in result.stderr


def test_all_jobs_are_paused_by_one_request(world: World) -> None:
    asked = answers(world, said="everything is paused")
    assert world.weir("pause", "--all").stdout == "all jobs: everything is paused\n"
    assert asked[0]["name"] == GLOBAL
    assert world.weir("pause").exit_code == 2
    assert world.weir("pause", "nobody").exit_code == 3


def test_what_is_held_is_confirmed_by_its_mark_or_one_by_one(world: World) -> None:
    assert "nothing is held" in world.weir("confirm", "abc").stderr
    world.says("even-ids", held=True, error="6 of 9 jobs vanished at once")
    asked = answers(world)
    assert world.weir("confirm", "1a2b3c4d", "--yes").exit_code == 0
    assert (asked[0]["name"], asked[0]["args"]) == (GLOBAL, {"held": "1a2b3c4d"})
    world.says("even-ids", held=True)
    assert world.weir("confirm", "even-ids", "--yes").exit_code == 0
    assert asked[1]["name"] == "even-ids"


# Looking back


def test_events_are_printed_and_followed(world: World) -> None:
    world.put()
    first = JobEvent(time="2027-01-15T08:00:00Z", code="CREATED", message="new", generation=1)
    second = JobEvent(time="2027-01-15T08:00:05Z", code="TASK_LOST", message="gone", generation=1, warning=True)
    world.tree.put(world.tree.events, "even-ids", encode_events((first,)))
    assert "CREATED" in world.weir("events", "even-ids").stdout
    assert json.loads(world.weir("events", "even-ids", "-o", "json").stdout)[0]["code"] == "CREATED"

    def more(sleeps: int) -> None:
        if sleeps == 1:
            world.tree.put(world.tree.events, "even-ids", encode_events((first, second)))
        elif sleeps == 2:
            twice = second.model_copy(update={"count": 2})
            world.tree.put(world.tree.events, "even-ids", encode_events((first, twice)))
        elif sleeps > 3:
            raise KeyboardInterrupt

    world.on_sleep = more
    result = world.weir("events", "even-ids", "--follow")
    assert [line.split(maxsplit=2)[2] for line in result.stdout.splitlines()] == [
        "CREATED  new",
        "! TASK_LOST  gone",
        "! TASK_LOST  gone (2 times)",
    ]
    assert "(2 times)" in result.stdout


def test_followed_events_go_on_after_a_moment_without_zookeeper(world: World) -> None:
    world.put()
    first = JobEvent(time="2027-01-15T08:00:00Z", code="CREATED", message="new", generation=1)
    second = JobEvent(time="2027-01-15T08:00:05Z", code="TASK_LOST", message="gone", generation=1)
    world.tree.put(world.tree.events, "even-ids", encode_events((first,)))

    def more(number: int) -> None:
        world.tree.put(world.tree.events, "even-ids", encode_events((first, second)))
        if number > 5:
            raise KeyboardInterrupt

    world.on_sleep = after_silence(world, 2, more)
    result = world.weir("events", "even-ids", "--follow")

    assert [line.split()[2] for line in result.stdout.splitlines()] == ["CREATED", "TASK_LOST"]
    assert result.stderr.count("it is tried again") == 1
    assert result.exit_code == 130


def test_the_history_names_generations_specs_and_snapshots(world: World) -> None:
    world.put()
    old = JobSpec.model_validate({**SPEC, "env": {"A": "1"}})
    found = record(
        world,
        history=(PastGeneration(1, old, 1.0, 2.0, "UPGRADE", None, True),),
        snapshots=(Snapshot(SnapshotKind.SAVEPOINT, "file:/sp/1", 1, 4, "t", 2.0, "upgrade"),),
    )
    generation = found.generation
    assert generation is not None
    record(world, history=found.history, snapshots=found.snapshots, generation=replace(generation, number=2))
    out = world.weir("history", "even-ids").stdout
    assert "UPGRADE" in out
    assert "file:/sp/1" in out
    document = yaml.safe_load(world.weir("history", "even-ids", "-o", "yaml").stdout)
    assert [each["number"] for each in document["generations"]] == [1, 2]
    assert "env.A" in document["generations"][1]["changes"]
    world.put("other")
    assert world.weir("history", "other").exit_code == 3


# Planning


def test_a_plan_of_a_new_job_says_so_and_writes_nothing(world: World) -> None:
    result = world.weir("plan", "-f", world.file(SPEC), "-o", "json")
    assert result.exit_code == 1, result.output
    document = json.loads(result.stdout)
    assert (document["result"], document["version"]) == ("create", "new")
    assert "GENERATION_STARTED" in {step["code"] for step in document["steps"]}
    assert world.tree.jobs == {}


def test_several_files_are_planned_together(world: World) -> None:
    world.put()
    world.says(job_id="ab" * 16, job_state="RUNNING")
    record(world)
    same, new = world.file(SPEC), world.file(SPEC, "new.json")

    result = world.weir("plan", "-f", same, "-f", new)
    documents = json.loads(world.weir("plan", "-f", new, "-f", same, "-o", "json").stdout)

    assert result.exit_code == 1
    assert "even-ids: nothing would change" in result.stdout
    assert "new: the job would be created" in result.stdout
    assert [(each["name"], each["result"]) for each in documents] == [("new", "create"), ("even-ids", "nothing")]
    assert world.weir("plan", "-f", same, "-f", world.file("{", "bad.json")).exit_code == 2


def test_a_plan_of_the_same_is_nothing(world: World) -> None:
    world.put()
    world.says(job_id="ab" * 16, job_state="RUNNING")
    record(world)
    result = world.weir("plan", "-f", world.file(SPEC))
    assert result.exit_code == 0, result.output
    assert "nothing would change" in result.stdout


def test_a_plan_says_what_an_upgrade_would_do_and_why(world: World) -> None:
    world.put()
    world.says(job_id="ab" * 16, job_state="RUNNING", parallelism=2)
    record(world)
    result = world.weir("plan", "-f", world.file({**SPEC, "env": {"A": "1"}}), "-o", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["result"] == "upgrade"
    assert document["changes"][0]["path"] == "env.A"
    assert "stopping with a savepoint" in document["steps"][0]["message"]
    table = world.weir("plan", "-f", world.file({**SPEC, "env": {"A": "1"}})).stdout
    assert "--check-version 0" in table


def test_a_plan_of_a_delete_and_of_a_refused_file(world: World) -> None:
    world.put()
    world.says(job_id="ab" * 16, job_state="RUNNING")
    record(world)
    deleted = world.weir("plan", "--delete", "even-ids")
    assert deleted.exit_code == 1
    assert "would be ended" in deleted.stdout
    assert world.weir("plan", "--delete", "nobody").exit_code == 2
    assert world.weir("plan", "-f", world.file("{")).exit_code == 2
    assert world.weir("plan").exit_code == 2
    world.tree.put(world.tree.records, "even-ids", b"junk")
    assert world.weir("plan", "-f", world.file(SPEC)).exit_code == 2
    assert encode_record


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreError("reading the record: ZooKeeper refuses it (NoAuthError)"), 2, "ZooKeeper refused: reading"),
        (KeyError("oops"), 2, "unexpected KeyError: 'oops'"),
        (StoreUnavailable("load_record: no answer"), 5, "ZooKeeper does not answer"),
    ],
)
def test_a_plan_that_fails_does_not_look_like_one_that_would_change_something(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    from state.memory import MemoryStore

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(MemoryStore, "load_record", refuse)
    result = world.weir("plan", "-f", world.file(SPEC))

    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_was_planned_is_written_only_if_nobody_was_faster(world: World) -> None:
    path = world.file(SPEC)
    assert world.weir("apply", "-f", path, "--check-version", "3").exit_code == 1
    assert world.weir("apply", "-f", path, "--check-version", "new").exit_code == 0
    assert world.weir("apply", "-f", path, "--check-version", "new").exit_code == 1
    changed = world.file({**SPEC, "env": {"A": "1"}})
    assert world.weir("apply", "-f", changed, "--check-version", "7").exit_code == 1
    assert world.weir("apply", "-f", changed, "--check-version", "0").exit_code == 0
    assert world.weir("apply", "-f", changed, "--check-version", "soon").exit_code == 2
