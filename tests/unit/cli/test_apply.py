"""`weir apply`: what is written, when nothing is written, and what a person is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model.record import Record, SpecRef
from reconciler.model.spec_parse import parse_document
from reconciler.ports import VersionConflict
from state.memory import MemoryStore
from tests.unit.cli.conftest import SPEC, World

YAML = """
flinkVersion: 2.2
job:
  type: python
  uri: file:///srv/jobs/even_ids.py
  parallelism: 2
"""


def test_a_yaml_file_becomes_json_under_the_files_name(world: World) -> None:
    result = world.weir("apply", "-f", world.file(YAML))

    assert result.exit_code == 0
    assert result.stdout == "even-ids created\n"
    assert json.loads(world.stored()) == SPEC


def test_the_name_can_be_given_and_the_file_can_be_standard_input(world: World) -> None:
    world.weir("apply", "-f", world.file(SPEC, "any name.json"), "--name", "one")
    world.weir("apply", "-f", "-", "--name", "two", text=YAML)

    assert json.loads(world.stored("one")) == json.loads(world.stored("two")) == SPEC


def test_standard_input_needs_a_name(world: World) -> None:
    result = world.weir("apply", "-f", "-", text=YAML)

    assert result.exit_code == 2
    assert "add --name NAME" in result.stderr


def test_a_change_is_told_field_by_field_with_its_class(world: World) -> None:
    world.put()
    changed = {**SPEC, "job": {**SPEC["job"], "parallelism": 4}, "env": {"LEVEL": "debug"}}

    result = world.weir("apply", "-f", world.file(changed))

    assert result.stdout.splitlines() == [
        "even-ids changed",
        "  FIELD            BEFORE  AFTER    CLASS",
        '  env.LEVEL        -       "debug"  UPGRADE',
        "  job.parallelism  2       4        SCALE",
    ]
    assert json.loads(world.stored()) == changed


def test_the_same_meaning_in_other_words_writes_nothing(world: World) -> None:
    world.put()
    before = world.store.load_job("even-ids")

    result = world.weir("apply", "-f", world.file({**SPEC, "onDelete": "savepoint"}))

    assert result.stdout == "even-ids unchanged\n"
    assert world.store.load_job("even-ids") == before


def test_a_file_without_nonces_asks_for_nothing_again(world: World) -> None:
    asked = {**SPEC, "restartNonce": 2, "job": {**SPEC["job"], "savepointTriggerNonce": 3}}
    world.put(data=asked)
    assert world.weir("apply", "-f", world.file(SPEC)).stdout == "even-ids unchanged\n"
    assert "Nonce" not in world.weir("plan", "-f", world.file(SPEC)).stdout

    world.weir("apply", "-f", world.file({**SPEC, "job": {**SPEC["job"], "parallelism": 4}}))
    assert json.loads(world.stored()) == {**asked, "job": {**asked["job"], "parallelism": 4}}

    world.weir("apply", "-f", world.file({**SPEC, "restartNonce": 0}))
    assert json.loads(world.stored())["restartNonce"] == 0, "what the file says counts"


def test_the_repair_of_a_desired_state_that_is_refused_asks_for_nothing_again(world: World) -> None:
    asked = {**SPEC, "restartNonce": 2, "job": {**SPEC["job"], "savepointTriggerNonce": 3}}
    valid = parse_document("even-ids", asked)
    world.remembers(Record("even-ids", "0123456789", SpecRef(1, 0), spec=valid))
    world.put(data={**asked, "paralelism": 2})

    assert "Nonce" not in world.weir("plan", "-f", world.file(SPEC)).stdout
    assert world.weir("apply", "-f", world.file(SPEC)).exit_code == 0
    assert json.loads(world.stored()) == asked


def test_an_invalid_desired_state_is_replaced(world: World) -> None:
    world.put(data=b"{oops")

    result = world.weir("apply", "-f", world.file(YAML))

    assert result.stdout == "even-ids changed (what was there was not valid)\n"
    assert json.loads(world.stored()) == SPEC


def test_somebody_elses_change_is_not_overwritten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put()

    def conflict(*_: object, **__: object) -> int:
        raise VersionConflict("version 1, not 0")

    monkeypatch.setattr(MemoryStore, "put_job", conflict)
    result = world.weir("apply", "-f", world.file({**SPEC, "restartNonce": 1}))

    assert result.exit_code == 1
    assert "was changed by somebody else at the same moment, nothing was written" in result.stderr


def test_json_output_says_what_was_done(world: World) -> None:
    world.put()

    result = world.weir("apply", "-o", "json", "-f", world.file({**SPEC, "onDelete": "keep"}))

    assert json.loads(result.stdout) == {
        "name": "even-ids",
        "result": "changed",
        "version": 1,
        "changes": [{"path": "onDelete", "before": "savepoint", "after": "keep", "class": "IGNORE"}],
    }


def test_without_a_leader_the_user_is_told_that_nothing_will_happen(world: World) -> None:
    world.nobody_leads()

    result = world.weir("apply", "-f", world.file(YAML))

    assert result.exit_code == 0
    assert "note: no replica leads" in result.stderr


BAD: list[tuple[Any, list[str]]] = [
    ("", ["the file is empty"]),
    ('{"flinkVersion": "2.2", "job": {"type"', ["cut off"]),
    ("job: [1, 2", ["the file is not valid YAML", "line"]),
    ("just text", ["does not hold an object"]),
    ({**SPEC, "paralelism": 2}, ["paralelism: there is no field", "job.parallelism"]),
    ({**SPEC, "job": {**SPEC["job"], "paralelism": 2}}, ["job.paralelism", "did you mean parallelism?"]),
    ({**SPEC, "job": {**SPEC["job"], "parallelism": "two"}}, ["job.parallelism: has to be a whole number"]),
    ({**SPEC, "jobManager": {"memory": "64m"}}, ["jobManager.memory: 64m is too little"]),
    ({**SPEC, "job": {"type": "python"}}, ["job.uri: is required"]),
    ({**SPEC, "flinkConfiguration": {"rest.port": "8081"}}, ["flinkConfiguration.rest.port: cannot be set"]),
    ({**SPEC, "restartNonce": "x", "onDelete": "drop"}, ["restartNonce: has to be", "onDelete: "]),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_file_with_a_mistake_is_refused_before_anything_is_written(
    world: World, content: object, said: list[str]
) -> None:
    path = world.file(content)

    result = world.weir("apply", "-f", path)

    assert result.exit_code == 1
    assert all(part in result.stderr for part in said), result.stderr
    assert all(line.startswith(f"error: {path}: ") for line in result.stderr.splitlines())
    assert world.store.load_job("even-ids") is None
    assert world.opened == []


@pytest.mark.parametrize("name", ["even_ids", "Even-Ids", "even ids", "-x", "a" * 64])
def test_a_name_that_mesos_or_zookeeper_refuse_is_refused_with_a_better_one(world: World, name: str) -> None:
    result = world.weir("apply", "-f", world.file(SPEC, f"{name}.json"))

    assert result.exit_code == 1
    assert "name the job yourself: --name " in result.stderr
    assert world.opened == []


def test_a_file_that_cannot_be_read_is_named(world: World) -> None:
    missing = world.weir("apply", "-f", "/nowhere/job.yaml")
    directory = world.weir("apply", "-f", str(world.directory), "--name", "x")
    (world.directory / "latin.yaml").write_bytes("user: jérôme".encode("latin-1"))
    latin = world.weir("apply", "-f", str(world.directory / "latin.yaml"))

    assert "cannot read /nowhere/job.yaml: No such file or directory" in missing.stderr
    assert "Is a directory" in directory.stderr
    assert "is not UTF-8 text" in latin.stderr
    assert {missing.exit_code, directory.exit_code, latin.exit_code} == {1}


def test_validate_writes_nothing_and_checks_every_file(world: World) -> None:
    good, bad = world.file(YAML), world.file("x: 1", "bad.yaml")

    assert world.weir("validate", "-f", good).stdout == f"{good}: valid, as the job even-ids\n"
    both = world.weir("validate", "-f", good, "-f", bad)

    assert both.exit_code == 1
    assert f"{good}: valid" in both.stdout
    assert f"error: {bad}: x: there is no field" in both.stderr
    assert world.opened == []


def test_a_device_or_a_log_is_refused_before_it_fills_the_memory(world: World) -> None:
    result = world.weir("apply", "-f", "/dev/zero", "--name", "orders")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: /dev/zero is larger than 1024 KiB")


def test_every_file_that_is_named_is_written_and_told(world: World) -> None:
    one, two = world.file(SPEC, "one.json"), world.file(YAML, "two.yaml")

    result = world.weir("apply", "-f", one, "-f", two)

    assert (result.exit_code, result.stdout) == (0, "one created\ntwo created\n")
    assert json.loads(world.stored("one")) == json.loads(world.stored("two")) == SPEC
    again = json.loads(world.weir("apply", "-f", one, "-f", two, "-o", "json").stdout)
    assert [(each["name"], each["result"]) for each in again] == [("one", "unchanged"), ("two", "unchanged")]


def test_one_wrong_file_keeps_all_of_them_from_being_written(world: World) -> None:
    good, bad, worse = world.file(SPEC), world.file("x: 1", "bad.yaml"), world.file("", "worse.yaml")

    result = world.weir("apply", "-f", good, "-f", bad, "-f", worse)

    assert result.exit_code == 1
    assert f"error: {bad}: x: there is no field" in result.stderr
    assert f"error: {worse}: the file is empty" in result.stderr
    assert (world.tree.jobs, world.opened) == ({}, [])


def test_what_is_of_one_job_is_refused_with_several_files(world: World) -> None:
    one, two = world.file(SPEC, "one.json"), world.file(SPEC, "two.json")
    (world.directory / "other").mkdir()
    same = world.file(SPEC, "other/one.json")

    named = world.weir("apply", "-f", one, "-f", two, "--name", "three")
    versioned = world.weir("apply", "-f", one, "-f", two, "--check-version", "0")
    piped = world.weir("apply", "-f", one, "-f", "-", text=YAML)
    twice = world.weir("apply", "-f", one, "-f", same)

    assert {each.exit_code for each in (named, versioned, piped, twice)} == {2}
    assert "--name is of one job" in named.stderr
    assert "--check-version is of one job" in versioned.stderr
    assert "standard input has no name beside other files" in piped.stderr
    assert 'another file is of the job "one" too' in twice.stderr
    assert world.opened == []


@pytest.mark.parametrize("output", ["table", "json"])
def test_what_was_written_before_one_failed_is_told_and_what_was_not_too(
    world: World, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    files = [argument for name in ("one", "two", "three") for argument in ("-f", world.file(SPEC, f"{name}.json"))]
    shipped = MemoryStore.put_job

    def conflict(self: MemoryStore, name: str, *args: Any, **more: Any) -> int:
        if name == "two":
            raise VersionConflict("version 1, not 0")
        return shipped(self, name, *args, **more)

    monkeypatch.setattr(MemoryStore, "put_job", conflict)
    result = world.weir("apply", "-o", output, *files)

    assert result.exit_code == 1
    told = result.stdout if output == "table" else json.loads(result.stdout)
    assert told == "one created\n" or [each["name"] for each in told] == ["one"]
    assert "note: not written after that: three" in result.stderr
    assert 'error: "two" was changed by somebody else' in result.stderr
    assert set(world.tree.jobs or ()) == {"one"}
