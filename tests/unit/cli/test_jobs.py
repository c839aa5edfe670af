"""`weir get`, `describe`, `delete` and `leader`: what people see of their jobs."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from reconciler.app import render_output
from reconciler.model.ids import flink_job_id
from reconciler.model.record import Generation, Lifecycle, Record, Restarts, Snapshot, SnapshotKind, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.status import JobEvent, SnapshotStatus, TaskCounts, TaskStatus
from reconciler.report import timestamp
from state.codec import encode_events
from tests.unit.cli.conftest import NOW, SPEC, World


def runs(world: World) -> None:
    """A job that runs and has a savepoint."""
    world.put()
    world.says(
        job_state="RUNNING",
        job_id="ab" * 16,
        job_manager_url="http://10.0.0.1:31000",
        flink_version="2.2",
        parallelism=2,
        tasks=TaskCounts(job_manager="1/1", task_manager="1/1"),
        task_list=(
            TaskStatus(id="even-ids.0123456789.1.tm.0.2", role="tm", state="TASK_RUNNING", hostname="agent-2"),
            TaskStatus(id="even-ids.0123456789.1.jm.0.1", role="jm", state="TASK_RUNNING", hostname="agent-1"),
        ),
        restarts=4,
        last_snapshot=SnapshotStatus(kind="savepoint", path="file:/srv/sp/1", time=timestamp(NOW - 180)),
        leader_epoch=7,
        time=timestamp(NOW - 5),
    )


def test_get_shows_one_line_for_each_job(world: World) -> None:
    runs(world)
    world.put("orders", {**SPEC, "job": {**SPEC["job"], "parallelism": 8}})

    result = world.weir("get")

    titles, first, second = result.stdout.splitlines()
    assert titles == "NAME      LIFECYCLE  STATE    GEN  PARALLELISM  JM   TM   RESTARTS  LAST SNAPSHOT     WHY"
    assert (
        first
        == "even-ids  STABLE     RUNNING  1    2            1/1  1/1  4         savepoint 3m ago  running and stable"
    )
    assert second.startswith("orders    -          -        -    8            -    -    -         -        ")
    assert second.endswith("  version 0 of the desired state was not taken up yet")


def test_get_of_one_job_shows_that_job_only(world: World) -> None:
    runs(world)
    world.put("orders")

    assert [line.split()[0] for line in world.weir("get", "orders").stdout.splitlines()] == ["NAME", "orders"]


def test_wide_adds_what_links_to_the_outside(world: World) -> None:
    runs(world)

    out = world.weir("get", "-o", "wide").stdout

    for part in ("http://10.0.0.1:31000", "ab" * 16, "file:/srv/sp/1", "5s ago"):
        assert part in out


def test_deleted_jobs_are_hidden_unless_asked_for(world: World) -> None:
    world.says("old", lifecycle="DELETED", why="deleted; its final state is file:/srv/sp/9")

    assert world.weir("get").stdout == ""
    assert "no jobs; write one: weir apply -f FILE" in world.weir("get").stderr
    assert "file:/srv/sp/9" in world.weir("get", "--all").stdout


def test_a_name_that_is_used_again_does_not_look_deleted(world: World) -> None:
    world.says("even-ids", lifecycle="DELETED", why="deleted")
    world.put()

    assert "version 0 of the desired state was not taken up yet" in world.weir("get").stdout


def test_machines_read_json_and_yaml(world: World) -> None:
    runs(world)

    listed = json.loads(world.weir("get", "-o", "json").stdout)
    one = yaml.safe_load(world.weir("get", "even-ids", "-o", "yaml").stdout)

    assert listed == [one]
    assert one["status"]["jobManagerUrl"] == "http://10.0.0.1:31000"
    assert one["desired"]["spec"]["job"]["parallelism"] == 2
    assert one["desired"]["accepted"] is True
    assert json.loads(World(world.directory).weir("get", "-o", "json").stdout) == []


def test_a_refused_edit_stands_beside_the_job_that_goes_on(world: World) -> None:
    world.put(data=b"{}")
    world.says(accepted=False, error="job: is required", generation=3)

    line = world.weir("get").stdout.splitlines()[1]

    assert "STABLE" in line
    assert line.endswith(
        "version 0 of the desired state is refused: job: is required; "
        "the last valid version goes on: running and stable"
    )


def test_an_edit_that_nobody_has_seen_yet_is_told_with_what_is_wrong_with_it(world: World) -> None:
    runs(world)
    world.put(data={**SPEC, "job": {**SPEC["job"], "paralelism": 3}})

    result = world.weir("describe", "even-ids")

    assert result.stdout.splitlines()[0].startswith(
        "even-ids is STABLE: version 1 of the desired state was not taken up yet; it will be refused: job.paralelism"
    )
    assert '  error          job.paralelism: there is no field "paralelism" in job\n' in result.stdout
    assert "  hint           did you mean parallelism?\n" in result.stdout
    assert "weir apply -f FILE --name even-ids" in result.stdout


def test_nobody_leads_is_said_first(world: World) -> None:
    runs(world)
    world.nobody_leads()

    assert "note: no replica leads, so nothing is acted on; start one: weir run" in world.weir("get").stderr
    first = world.weir("describe", "even-ids").stdout.splitlines()[0]
    assert first == "No replica leads, so nothing is acted on. Last known: even-ids is STABLE: running and stable"


def remembered(wanted: int) -> Record:
    spec = JobSpec.model_validate(SPEC)
    path = "file:/srv/sp/0"
    savepoint = Snapshot(SnapshotKind.SAVEPOINT, path, 1, 12, time=NOW - 600, reason="UPGRADE")
    generation = Generation(2, spec, flink_job_id("0123456789", 2), "even-ids-0123456789-2", NOW - 500, savepoint)
    return Record(
        "even-ids", "0123456789", SpecRef(wanted, 0), Lifecycle.STABLE, spec=spec, generation=generation,
        snapshots=(savepoint,), restarts=Restarts(total=4, reason="TaskManager 0 was lost"), next_generation=3,
    )  # fmt: skip


def test_describe_shows_desired_and_running_tasks_snapshots_and_events(world: World) -> None:
    runs(world)
    world.put(data={**SPEC, "job": {**SPEC["job"], "parallelism": 3}})
    world.remembers(remembered(1))
    event = JobEvent(time=timestamp(NOW - 60), code="TASK_LOST", message="TaskManager 0 is gone", warning=True, count=2)
    world.tree.put(world.tree.events, "even-ids", encode_events((event,)))

    out = world.weir("describe", "even-ids").stdout

    assert "  differs        job.parallelism: runs 2, wanted 3 (SCALE)\n" in out
    assert "  restarts       4, last because TaskManager 0 was lost\n" in out
    assert "  agent-1  JobManager   RUNNING  even-ids.0123456789.1.jm.0.1\n" in out
    assert "  agent-2  TaskManager  RUNNING  even-ids.0123456789.1.tm.0.2\n" in out
    assert f"  savepoint  1    12          {timestamp(NOW - 600)}  upgrade  file:/srv/sp/0\n" in out
    assert f"  {timestamp(NOW - 60)} ! TASK_LOST  TaskManager 0 is gone (2 times)\n" in out


def test_describe_of_a_refused_name_prints_nothing_that_a_shell_would_run(world: World) -> None:
    world.put("$(touch x)")

    said = world.weir("describe", "$(touch x)").stdout

    assert "delete it: weir delete '$(touch x)'" in said
    assert "--name $(touch x)" not in said


def test_describe_as_json_holds_the_same(world: World) -> None:
    runs(world)
    world.remembers(remembered(1))
    world.put(data={**SPEC, "job": {**SPEC["job"], "parallelism": 3}})

    page = json.loads(world.weir("describe", "even-ids", "-o", "json").stdout)

    assert page["differences"] == [{"path": "job.parallelism", "running": 2, "desired": 3, "class": "SCALE"}]
    assert page["snapshots"][0]["path"] == "file:/srv/sp/0"
    assert page["leader"]["replica"] == "replica-1"
    assert page["sentence"].startswith("even-ids is STABLE: version 1")


def test_a_record_that_cannot_be_read_is_said(world: World) -> None:
    runs(world)
    world.tree.put(world.tree.records, "even-ids", b"{junk")

    assert "cannot be read, so the job is left alone" in world.weir("describe", "even-ids").stdout


def test_an_unknown_job_is_answered_with_the_nearest_name(world: World) -> None:
    world.put()

    result = world.weir("describe", "evn-ids")

    assert result.exit_code == 3
    assert result.stderr == 'error: there is no job "evn-ids"; did you mean even-ids?\n'


def test_delete_says_what_becomes_of_the_job(world: World) -> None:
    world.put()
    world.put("kept", {**SPEC, "onDelete": "keep"})

    assert "it is stopped with a savepoint" in world.weir("delete", "even-ids", "--yes").stdout
    assert "left running and forgotten" in world.weir("delete", "kept", "--yes").stdout
    assert world.store.load_jobs().specs == {}


def test_delete_asks_nobody_where_nobody_can_answer(world: World) -> None:
    world.put()

    result = world.weir("delete", "even-ids")

    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert world.store.load_job("even-ids") is not None


@pytest.mark.parametrize(("typed", "code"), [("even-ids\n", 0), ("y\n", 2), ("\n", 2)])
def test_delete_wants_the_name_of_the_job_to_be_typed(
    world: World, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr("reconciler.app.cli_edit.can_ask", lambda: True)
    world.put()

    result = world.weir("delete", "even-ids", text=typed)

    assert result.exit_code == code
    assert "Delete even-ids? It is stopped with a savepoint, whose path is kept for 30 days." in result.stderr
    assert (world.store.load_job("even-ids") is None) == (code == 0)
    assert ("error: that is not the name; nothing was done" in result.stderr) == (code != 0)


def test_a_job_that_is_gone_already_cannot_be_deleted_again(world: World) -> None:
    world.says("old", lifecycle="DELETED", why="deleted")
    world.says("leaving", lifecycle="DELETING", why="stopping")

    assert "is deleted already" in world.weir("delete", "old", "--yes").stderr
    result = world.weir("delete", "leaving", "--yes")
    assert result.exit_code == 3
    assert "weir delete leaving --wait" in result.stderr


def test_leader_shows_who_leads(world: World) -> None:
    assert world.weir("leader").stdout.splitlines()[1].split()[:3] == ["replica-1", "host-1", "4711"]
    assert json.loads(world.weir("leader", "-o", "json").stdout)["epoch"] == 1

    world.nobody_leads()
    assert world.weir("leader").exit_code == 3


def test_a_missing_desired_tree_is_not_an_empty_one(world: World) -> None:
    world.tree.delete_jobs_node()

    assert "there is no desired tree below this root" in world.weir("get").stderr


def test_version_prints_the_version(world: World) -> None:
    assert world.weir("version").stdout.startswith("weir ")
    assert set(json.loads(world.weir("version", "-o", "json").stdout)) == {"weir", "python", "recordSchema"}


def test_a_narrow_terminal_loses_no_column(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(world)
    monkeypatch.setattr(render_output, "on_terminal", lambda: True)

    monkeypatch.setenv("COLUMNS", "80")
    narrow = world.weir("get").stdout.splitlines()
    monkeypatch.setenv("COLUMNS", "160")
    wide = world.weir("get").stdout.splitlines()

    assert [line.split()[0] for line in narrow] == ["NAME", "even-ids", "running"]
    assert "savepoint 3m ago" in narrow[1]
    assert wide[1].rstrip().endswith("savepoint 3m ago  running and stable")


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("1", False)])
def test_no_color_takes_the_colours_from_tables(
    world: World, monkeypatch: pytest.MonkeyPatch, value: str | None, coloured: bool
) -> None:
    runs(world)
    monkeypatch.setattr(render_output, "on_terminal", lambda: True)
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "160", "NO_COLOR": value}

    shown = world.weir("get", env=env).stdout  # type: ignore[arg-type]

    assert "STABLE" in shown
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)) == coloured


def test_what_a_job_says_does_not_drive_the_terminal(world: World) -> None:
    world.put()
    world.says(why="failed: \x1b[2J\x07gone\nsecond line")

    for command in (["get"], ["describe", "even-ids"]):
        out = world.weir(*command).stdout
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "gone second line" in out
