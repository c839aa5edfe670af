"""docs/cli.md says what the commands say; completion and watching."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.app import cli_reference, render_output
from reconciler.app.cli import COMMANDS, cli
from reconciler.app.cli_errors import Problem
from tests.unit.cli.conftest import World

ROOT = Path(__file__).parents[3]


def test_the_reference_in_docs_is_current_and_lists_every_command() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    assert written == "\n".join(cli_reference.write()) + "\n", (
        "run: python -m reconciler.app.cli_reference > docs/cli.md"
    )
    for command in COMMANDS:
        assert f"\n## weir {command}\n" in written


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_that_begins_with_its_line_in_the_list(world: World, command: str) -> None:
    result = world.weir(command, "--help")

    assert result.exit_code == 0
    assert "Usage: weir" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_of_its_own(world: World, shell: str) -> None:
    result = world.weir("completion", shell)

    assert result.exit_code == 0
    assert f"_WEIR_COMPLETE={shell}_complete" in result.stdout
    assert world.opened == []


def test_commands_are_completed_without_loading_them(world: World) -> None:
    def completed(words: str, number: int) -> list[str]:
        env = {"_WEIR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        return [line.partition(",")[2] for line in world.weir(env=env).stdout.split()]

    assert completed("weir res", 1) == ["restart", "restore", "restore-from", "resume"]
    assert "--watch" in completed("weir get --w", 2)
    assert completed("weir get -o ", 3) == ["table", "wide", "json", "yaml"]


def completed(world: World, shell: str, words: str, incomplete: str = "", **env: str) -> list[str]:
    """What the shell is told, by click's own protocol: bash and zsh send a position, fish the word itself."""
    position = str(len(words.split()) - bool(incomplete))
    asked = {"_WEIR_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    asked["COMP_CWORD"] = incomplete if shell == "fish" else position
    result = world.weir(env={**asked, **env})
    assert (result.exit_code, result.stderr) == (0, "")
    if shell == "zsh":
        return result.stdout.splitlines()[1::3]
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_of_jobs_are_completed_from_zookeeper(world: World, shell: str) -> None:
    for name in ("orders", "orders-eu", "payments"):
        world.put(name)
    world.says("old-orders", lifecycle="DELETED")

    assert completed(world, shell, "weir describe") == ["old-orders", "orders", "orders-eu", "payments"]
    assert completed(world, shell, "weir logs ord", "ord") == ["orders", "orders-eu"]
    assert completed(world, shell, "weir --zk zk9:2181 scale --root /eu p", "p") == ["payments"]
    assert world.opened[-1] == ("zk9:2181", "/eu")
    path = world.file("[zookeeper]\nhosts = 'zk8'", "weir.toml")
    assert completed(world, shell, f"weir describe --config {path} p", "p") == ["payments"]
    assert completed(world, shell, "weir describe p", "p", WEIR_CONFIG=path) == ["payments"]
    assert world.opened[-2:] == [("zk8:2181", "/weir")] * 2


def test_agents_are_completed_for_a_drain_and_drained_ones_for_its_end(world: World) -> None:
    tasks = [{"id": "orders.a.1.jm.0.1", "role": "jm", "state": "TASK_RUNNING", "agent": "S1", "hostname": "agent-7"}]
    world.says("orders", taskList=tasks)

    assert completed(world, "bash", "weir drain") == ["agent-7"]
    assert completed(world, "bash", "weir undrain") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_where_zookeeper_is_not_there_nothing_is_completed_and_nothing_said(world: World, shell: str) -> None:
    def closed(hosts: str, root: str, _: object) -> None:
        raise Problem(f"cannot reach ZooKeeper at {hosts}{root}", 5)

    world.open = closed  # type: ignore[method-assign, assignment]

    assert completed(world, shell, "weir describe") == []


def test_a_shell_does_not_wait_for_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        env = {"_WEIR_COMPLETE": "bash_complete", "COMP_WORDS": "weir get ", "COMP_CWORD": "2", "WEIR_ZK": address}
        result = CliRunner().invoke(cli, [], env=env)

    assert (result.exit_code, result.stdout.strip(), result.stderr) == (0, "", "")


def test_another_shell_is_refused_with_those_that_there_are(world: World) -> None:
    result = world.weir("completion", "tcsh")

    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr


def interrupted(world: World, changes: dict[int, object]) -> None:
    def happens(sleeps: int) -> None:
        change = changes.get(sleeps)
        if callable(change):
            change()
        if sleeps > max(changes, default=0) + 2:
            raise KeyboardInterrupt

    world.on_sleep = happens


def test_watch_prints_in_a_pipe_each_job_that_changed_and_nothing_else(world: World) -> None:
    world.put()
    world.put("orders")
    world.says()
    world.says("orders")
    interrupted(
        world,
        {
            1: lambda: world.says(time="2027-01-15T08:00:01Z"),
            2: lambda: world.says("orders", lifecycle="UPGRADING", why="stopping"),
            3: lambda: world.put("payments"),
        },
    )

    result = world.weir("get", "--watch")

    lines = [line.split()[:2] for line in result.stdout.splitlines()]
    assert lines == [
        ["NAME", "LIFECYCLE"],
        ["even-ids", "STABLE"],
        ["orders", "STABLE"],
        ["orders", "UPGRADING"],
        ["payments", "-"],
    ]
    assert result.exit_code == 130


def test_watch_of_one_job_as_json_is_a_document_on_each_line(world: World) -> None:
    world.put()
    world.says()
    interrupted(world, {1: lambda: world.says(lifecycle="FAILED", why="gave up")})

    result = world.weir("get", "even-ids", "--watch", "-o", "json")

    assert [json.loads(line)["status"]["lifecycle"] for line in result.stdout.splitlines()] == ["STABLE", "FAILED"]


def test_watch_shows_a_job_as_it_was_deleted_and_one_that_was_forgotten(world: World) -> None:
    world.put()
    world.says()

    def deleted() -> None:
        world.store.delete_job("even-ids")
        world.says(lifecycle="DELETED", why="deleted")

    interrupted(world, {1: deleted, 3: lambda: world.put("new"), 4: lambda: world.store.delete_job("new")})

    result = world.weir("get", "-w")

    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["even-ids", "STABLE"], ["even-ids", "DELETED"], ["new", "-"], ["new", "gone"],
    ]  # fmt: skip


def test_watch_says_that_nobody_leads_and_of_a_lost_leader_after_the_time_of_an_election(world: World) -> None:
    world.put()
    world.says()
    said = "note: no replica leads, so nothing is acted on; start one: weir run\n"
    interrupted(world, {3: world.nobody_leads, 20: world.leads})
    later = world.weir("get", "--watch")
    assert later.stderr.count(said) == 1

    interrupted(world, {1: lambda: None})
    assert said not in world.weir("get", "--watch").stderr

    world.nobody_leads()
    assert world.weir("get", "--watch").stderr.count(said) == 1, "as it is at the beginning"


def test_watch_says_again_what_it_cleared_from_the_screen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_output, "on_terminal", lambda: True)
    world.put()
    world.says()
    world.nobody_leads()
    interrupted(world, {2: lambda: world.says(lifecycle="UPGRADING")})

    assert world.weir("get", "--watch").stderr.count("note: no replica leads") == 2


def test_watch_does_not_mention_a_change_of_leader(world: World) -> None:
    world.put()
    world.says()
    interrupted(world, {2: world.nobody_leads, 9: world.leads})

    assert "no replica leads" not in world.weir("get", "--watch").stderr


def test_watch_of_a_job_that_does_not_exist_is_refused_at_once(world: World) -> None:
    assert world.weir("get", "nothing", "--watch").exit_code == 3
