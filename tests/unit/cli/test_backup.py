"""`weir backup` and `weir restore`: files, refusals and questions. What is written is in tests/unit/state."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reconciler.model.status import LeaderInfo
from state.backup import decode
from state.codec import decode_operator, encode_leader
from state.znodes import Znode
from tests.unit.cli.conftest import World

KEPT = Path(__file__).parents[1] / "state" / "backups" / "schema-1.json"


@pytest.fixture
def restored(world: World) -> World:
    assert world.weir("restore", str(KEPT)).exit_code == 0
    return world


def led(world: World) -> None:
    info = encode_leader(LeaderInfo(replica="replica-1", host="h", pid=1), "c-1")
    world.znodes.nodes["/weir/leader/info"] = Znode(info, 1, 1)
    world.znodes.make("/weir/leader/election/c-1")


def test_a_backup_is_a_file_for_its_owner_only_and_says_what_is_in_it(restored: World) -> None:
    path = restored.directory / "weir.json"

    result = restored.weir("backup", str(path))

    assert result.exit_code == 0
    assert f"{path}: 1 jobs, 2 records, framework id 7d1c1f2e-0000, " in result.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert decode(path.read_bytes())[0].time == "2027-01-15T08:00:00Z"
    assert list(restored.directory.iterdir()) == [path]


def test_a_backup_to_standard_output_is_the_file_and_nothing_else(restored: World) -> None:
    result = restored.weir("backup", "-")

    assert set(decode(result.stdout_bytes)[0].records) == {"orders", "gone"}


def test_an_older_backup_is_not_overwritten_by_accident(restored: World) -> None:
    path = restored.directory / "weir.json"
    path.write_text("precious")

    result = restored.weir("backup", str(path))

    assert (result.exit_code, path.read_text()) == (2, "precious")
    assert "exists already; name another file, or replace it with --force" in result.stderr
    assert restored.weir("backup", str(path), "--force").exit_code == 0
    assert decode(path.read_bytes())


def test_a_directory_that_is_not_there_is_told(restored: World) -> None:
    result = restored.weir("backup", "/nowhere/weir.json")

    assert result.exit_code == 1
    assert "cannot write /nowhere/weir.json: No such file or directory" in result.stderr


def test_nothing_to_back_up_is_told(world: World) -> None:
    result = world.weir("backup", "-", "--root", "/other")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no installation was set up at /other" in result.stderr


def test_a_restored_installation_is_paused_and_says_how_to_go_on(world: World) -> None:
    result = world.weir("restore", str(KEPT))

    assert "/weir: 1 jobs, 2 records restored, as of 2026-11-23T10:00:00Z\n" in result.stdout
    assert "everything is paused; compare with what is in storage, then: weir unpause --all" in result.stdout
    paused = decode_operator(world.znodes.nodes["/weir/operator"].data).paused
    assert paused is not None
    assert paused.reason == "restored from the backup of 2026-11-23T10:00:00Z"


def test_without_the_pause_the_next_leader_acts(world: World) -> None:
    result = world.weir("restore", str(KEPT), "--no-pause")

    assert "paused" not in result.stdout
    assert decode_operator(world.znodes.nodes["/weir/operator"].data).paused is None


def test_another_root_is_told(world: World) -> None:
    result = world.weir("restore", str(KEPT), "--root", "/elsewhere")

    assert "the backup is of /weir, and is restored to /elsewhere" in result.stderr
    assert "/elsewhere/jobs/orders" in world.znodes.nodes


def test_a_live_installation_is_refused_in_one_line_and_stays_as_it_is(restored: World) -> None:
    led(restored)
    before = dict(restored.znodes.nodes)

    result = restored.weir("restore", str(KEPT))

    assert result.exit_code == 2
    said = "error: /weir has 1 jobs and 2 records, led by replica-1; to replace all of it: --force\n"
    assert result.stderr == said
    assert restored.znodes.nodes == before


def test_force_alone_asks_and_yes_answers(restored: World) -> None:
    nobody = restored.weir("restore", str(KEPT), "--force")
    before = dict(restored.znodes.nodes)

    assert nobody.exit_code == 2
    assert "nobody can be asked here; add --yes" in nobody.stderr
    assert restored.znodes.nodes == before
    assert restored.weir("restore", str(KEPT), "--force", "--yes").exit_code == 0
    assert restored.weir("restore", str(KEPT), "--yes").exit_code == 2, "--yes alone is no --force"


@pytest.mark.parametrize(("typed", "code"), [("/weir\n", 0), ("yes\n", 2), ("", 130)])
def test_on_a_terminal_the_root_has_to_be_typed(
    restored: World, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr("reconciler.app.cli_backup.can_ask", lambda: True)

    result = restored.weir("restore", str(KEPT), "--force", text=typed)

    assert result.exit_code == code
    assert "Type /weir to replace all of it" in result.stderr


def test_jobs_that_the_backup_does_not_know_are_named(restored: World) -> None:
    restored.znodes.make("/weir/jobs/late", b"{}")

    result = restored.weir("restore", str(KEPT), "--force", "--yes")

    assert "not in the backup, and removed: late; their tasks are left alone" in result.stderr


def test_the_same_restore_goes_on_without_force_and_another_does_not(world: World) -> None:
    world.znodes.stop_after = 2
    assert world.weir("restore", str(KEPT)).exit_code == 1
    world.znodes.stop_after = None
    other = world.directory / "other.json"
    other.write_bytes(KEPT.read_bytes())

    leads = world.weir("backup", "-")
    again = world.weir("restore", str(KEPT))

    assert "a backup is being restored here, or was in part" in leads.stderr
    assert again.exit_code == 0
    assert "a restore of this backup was interrupted here; it is done again" in again.stderr


def test_another_backup_does_not_go_on_where_one_was_interrupted(world: World) -> None:
    world.znodes.make("/weir/schema", b"restoring sha256:other")

    result = world.weir("restore", str(KEPT))

    assert result.exit_code == 2
    assert "of another backup whose restore was interrupted; to replace all of it: --force" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: orders", "cannot be restored: it is damaged, or no backup"),
        (b'{"format": "tar"}', "cannot be restored: it is no backup of Weir"),
        (KEPT.read_bytes().replace(b"orders", b"0rders"), "cannot be restored: it is damaged: its checksum"),
    ],
)
def test_a_file_that_is_no_good_backup_is_one_line(world: World, content: bytes, said: str) -> None:
    path = world.directory / "file"
    path.write_bytes(content)

    result = world.weir("restore", str(path))

    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert world.opened == []


def test_a_file_that_is_not_there_is_told(world: World) -> None:
    result = world.weir("restore", "/nowhere/weir.json")

    assert "cannot read /nowhere/weir.json: No such file or directory" in result.stderr
