"""Every failure is one line on stderr, an exit code that a script can act on, and never a traceback."""

from __future__ import annotations

import pytest

from reconciler.app import cli_services
from reconciler.app.cli_errors import Problem
from reconciler.ports import SchemaTooNew, StoreError, StoreUnavailable
from tests.unit.cli.conftest import World


def fails(world: World, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    world.open = refuse  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["gett"], 2, 'there is no command "gett"; did you mean get?'),
        (["frobnicate"], 2, "there are: apply, backup, completion"),
        (["get", "--frob"], 2, "see: weir get --help"),
        (["get", "-o", "xml"], 2, "'xml' is not one of"),
        (["apply"], 2, "Missing option '-f'"),
        (["delete"], 2, "Missing argument 'NAME'"),
        (["apply", "-f", "x.yaml", "--wait", "--timeout", "5"], 2, "write a number and one of ms, s, m, h, d"),
        (["apply", "-f", "x.yaml", "--wait", "RUNNING"], 2, "'RUNNING' is not one of"),
        (["get", "--zk", "http://zk:2181"], 2, "write HOST:PORT"),
        (["get", "--zk", "zk:port"], 2, "write HOST:PORT"),
        (["get", "--root", "weir"], 2, "it starts with a slash"),
        (["get", "nothing"], 3, 'there is no job "nothing"; see the jobs that exist: weir get'),
        (["get", "a/b"], 3, '"a/b" cannot be the name of a znode'),
        (["describe", "nothing"], 3, 'there is no job "nothing"'),
        (["delete", "nothing", "--yes"], 3, 'there is no job "nothing"'),
        (["run"], 2, "no Mesos master is configured"),
        (["run", "--config", "/nowhere/weir.toml"], 2, "cannot read the configuration /nowhere/weir.toml"),
        (["run", "--flink", "2.2"], 2, "write VERSION=HOME"),
        (["run", "--session-timeout", "0.1"], 2, "zookeeper.session_timeout_s"),
        (["run", "--master", "h:5050", "--storage", "/srv"], 2, "write file:///srv"),
        (["run", "--master", "h:5050", "--storage", "hdfs://nn/weir"], 2, "hdfs://nn/weir: this kind of storage"),
        (["run", "--master", "h:5050", "--storage", "s3://bucket//weir"], 2, "write s3://bucket/prefix"),
        (["run", "--master", "h:5050", "--storage", "s3://bucket/weir"], 2, "no Flink distribution is configured"),
    ],
)
def test_wrong_usage_is_one_line_with_a_way_on(world: World, args: list[str], code: int, said: str) -> None:
    result = world.weir(*args)

    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreUnavailable("reading: no answer"), 5, "ZooKeeper does not answer: reading: no answer"),
        (StoreError("reading: ZooKeeper refuses it (NoAuthError)"), 1, "ZooKeeper refused: reading"),
        (SchemaTooNew("the tree has schema version 9"), 1, "install the newer version of weir"),
        (Problem("no way; try another"), 1, "error: no way; try another\n"),
        (OSError(28, "No space left on device"), 1, "error: this machine refused: No space left on device\n"),
        (KeyError("oops"), 1, "unexpected KeyError: 'oops'; this is a mistake in weir"),
    ],
)
def test_every_error_has_its_line_and_exit_code(world: World, error: Exception, code: int, said: str) -> None:
    fails(world, error)

    result = world.weir("get")

    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_weir_debug_shows_the_traceback(world: World) -> None:
    fails(world, KeyError("oops"))

    result = world.weir("get", env={"WEIR_DEBUG": "1"})

    assert "Traceback" in result.stderr
    assert result.exit_code == 1


def test_an_address_that_nobody_listens_at_is_named_with_the_reason() -> None:
    said = cli_services.why_not("127.0.0.1:1")

    assert "127.0.0.1:1: Connection refused" in said
    assert "--zk HOST:PORT" in said


def test_help_needs_no_server_and_lists_every_command(world: World) -> None:
    result = world.weir("--help")

    assert result.exit_code == 0
    assert world.opened == []
    for command in ("apply", "get", "describe", "delete", "run", "local", "validate", "leader", "version"):
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize(
    "command", ["apply", "get", "describe", "delete", "run", "local", "validate", "leader", "version"]
)
def test_every_command_has_help(world: World, command: str) -> None:
    assert world.weir(command, "--help").exit_code == 0


def test_the_address_of_a_flag_wins_over_the_environment(world: World) -> None:
    world.weir("get", "--zk", "a:1", "--root", "/one", env={"WEIR_ZK": "b:2"})
    world.weir("--zk", "c:3", "get", env={"WEIR_ZK": "b:2", "WEIR_ROOT": "/two"})
    world.weir("get", env={"WEIR_ZK": "b,d:4/chroot"})
    world.weir("get")

    assert world.opened == [
        ("a:1", "/one"),
        ("c:3", "/two"),
        ("b:2181,d:4/chroot", "/weir"),
        ("127.0.0.1:2181", "/weir"),
    ]


def test_the_file_gives_what_flags_and_environment_leave_out(world: World) -> None:
    path = world.file('[zookeeper]\nhosts = "zk1,zk2"\nroot = "/eu"\nauth_file = "/a"\nca_file = "/f"', "weir.toml")

    world.weir("get", "--config", path, env={"WEIR_ZK_AUTH_FILE": "/b"})
    assert (world.settings.auth_file, world.settings.ca_file) == ("/b", "/f")
    world.weir("--config", path, "get", env={"WEIR_ZK": "b:2"})
    world.weir("get", "--root", "/one", "--zk", "a:1", env={"WEIR_ZK": "b:2", "WEIR_CONFIG": path})
    world.weir("backup", "-", env={"WEIR_CONFIG": path})
    world.weir("get", "--config", world.file("", "empty.toml"), env={"WEIR_CONFIG": path})

    hosts = "zk1:2181,zk2:2181"
    assert world.opened == [(hosts, "/eu"), ("b:2", "/eu"), ("a:1", "/one"), (hosts, ""), ("127.0.0.1:2181", "/weir")]
    assert world.settings.ca_file is None


def test_a_file_of_a_replica_is_read_for_what_commands_need_only(world: World) -> None:
    path = world.file(
        '[zookeeper]\nacl_users = ["world:anyone"]\n[storage]\nuri = 7\n[jobs]\nnew_setting = 1', "weir.toml"
    )

    result = world.weir("get", "--config", path, env={"WEIR_LOST_GRACE_S": "soon"})

    assert result.exit_code == 0, result.stderr
    assert world.settings.acl_users is None, "what a user writes would belong to that user"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[zookeper]\nhosts = 'h'", "zookeper: there is no such setting (did you mean zookeeper?)"),
        ("[zookeeper]\nhost = 'h'", "zookeeper.host: there is no such setting (did you mean zookeeper.hosts?)"),
        ("[zookeeper]\nroot = 'weir'", '"weir" is not a path in ZooKeeper'),
        ("[zookeeper]\nhosts = 'http://zk'", "write HOST:PORT"),
        ("[mesos]\ntls = 'maybe'", "mesos.tls: has to be true or false"),
        ("[", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_told_as_a_replica_tells_it(world: World, toml: str, said: str) -> None:
    path = world.file(toml, "weir.toml")

    result = world.weir("get", "--config", path)
    replica = world.weir("run", "--config", path)

    assert result.exit_code == replica.exit_code == 2
    assert said in result.stderr
    assert result.stderr == replica.stderr
    assert world.opened == []


def test_a_local_stack_is_used_only_when_no_address_is_given(world: World) -> None:
    world.local = cli_services.LocalAddresses(world.directory, "127.0.0.1:9", "zk://x/mesos", "file:///s")

    said = world.weir("get").stderr
    world.weir("get", "--zk", "a:1")

    assert f"note: using the local stack at 127.0.0.1:9 ({world.directory})" in said
    assert [hosts for hosts, _ in world.opened] == ["127.0.0.1:9", "a:1"]
