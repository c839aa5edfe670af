"""`weir config`: effective values with their origin, and mistakes in words that help."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from reconciler.app.cli_services import LocalAddresses
from reconciler.app.config import Config, ConfigError, Mesos, load, load_with_origins
from tests.unit.cli.conftest import World

FILE = """
[zookeeper]
hosts = "zk1:2181"
[mesos]
master = "zk://weir:hunter2@zk1:2181/mesos"
principal = "weir"
secret_file = "/etc/weir/mesos-secret"
[storage]
uri = "file:///srv/weir"
[flink.distributions."2.2"]
version = "2.2.1"
home = "/opt/flink"
[flink.configuration]
"s3.secret-key" = "hunter2"
[notifications.webhook]
url = "https://bot:hunter2@alerts.example.com/weir"
"""
CLEAN = dict.fromkeys(("WEIR_MASTER", "WEIR_STORAGE", "WEIR_REPLICA", "WEIR_LOG_LEVEL", "WEIR_API"))


def shown(world: World, *args: str, env: dict[str, str] | None = None) -> dict[str, tuple[Any, str]]:
    result = world.weir("config", "show", "-o", "json", *args, env={**CLEAN, **(env or {})})  # type: ignore[dict-item]
    assert result.exit_code == 0, result.stderr
    return {name: (each["value"], each["from"]) for name, each in json.loads(result.stdout).items()}


def test_every_setting_is_shown_with_its_value_and_where_it_comes_from(world: World) -> None:
    path = world.file(FILE, "weir.toml")

    found = shown(world, "--config", path, "--log-level", "debug", env={"WEIR_STORAGE": "file:///mnt/weir"})

    assert found["zookeeper.hosts"] == ("zk1:2181", path)
    assert found["storage.uri"] == ("file:///mnt/weir", "WEIR_STORAGE")
    assert found["log.level"] == ("debug", "--log-level")
    assert found["log.format"] == ("console", "default")
    assert found["flink.distributions.2.2.home"] == ("/opt/flink", path)
    assert found["flink.distributions.2.2.java"] == ("java", "default")
    assert found["mesos.user"] == (None, "default")
    assert {name.partition(".")[0] for name in found} == set(Config.model_fields)


def test_flink_of_the_local_stack_is_used_when_the_environment_names_its_addresses(world: World) -> None:
    """As after `eval "$(weir local env)"`; of another ZooKeeper it says nothing."""
    flink = {"2.2": {"home": "/opt/flink", "version": "2.2.1"}}
    world.local = LocalAddresses(world.directory, "127.0.0.1:9", "zk://127.0.0.1:9/mesos", "file:///s", flink)
    addresses = {"WEIR_ZK": "127.0.0.1:9", "WEIR_MASTER": world.local.master, "WEIR_STORAGE": "file:///s"}

    assert shown(world, env=addresses)["flink.distributions.2.2.home"] == ("/opt/flink", "the local stack")
    assert shown(world, env=addresses)["mesos.master"] == (world.local.master, "WEIR_MASTER")
    assert "flink.distributions.2.2.home" not in shown(world, env={**addresses, "WEIR_ZK": "zk1:2181"})
    own = shown(world, "--flink", "1.20=/opt/mine", env=addresses)
    assert own["flink.distributions.1.20.home"] == ("/opt/mine", "--flink")
    assert "flink.distributions.2.2.home" not in own


def test_flags_win_over_the_environment_and_that_over_the_file(world: World) -> None:
    path = world.file(FILE, "weir.toml")
    both = {"WEIR_ZK": "zk2:2181", "WEIR_MASTER": "h:5050"}

    assert shown(world, "--config", path, env=both)["zookeeper.hosts"] == ("zk2:2181", "WEIR_ZK")
    assert shown(world, "--config", path, "--zk", "zk3", env=both)["zookeeper.hosts"] == ("zk3", "--zk")
    assert shown(world, "--config", path, "--master", "i:5050", env=both)["mesos.master"] == ("i:5050", "--master")
    distributions = shown(world, "--config", path, "--flink", "2.3=/opt/other")
    assert distributions["flink.distributions.2.3.home"] == ("/opt/other", "--flink")
    assert "flink.distributions.2.2.home" not in distributions


def test_the_file_can_be_named_by_a_variable_and_before_the_command(world: World) -> None:
    path = world.file(FILE, "weir.toml")

    assert shown(world, env={"WEIR_CONFIG": path})["storage.uri"] == ("file:///srv/weir", path)
    before = world.weir("--config", path, "config", "show", "-o", "json")
    assert json.loads(before.stdout)["storage.uri"] == {"value": "file:///srv/weir", "from": path}


def test_secrets_are_paths_of_files_and_what_looks_like_one_is_masked(world: World) -> None:
    path = world.file(FILE, "weir.toml")

    table = world.weir("config", "show", "--config", path)
    found = shown(world, "--config", path)

    assert "hunter2" not in table.stdout + json.dumps(found)
    assert found["mesos.secret_file"] == ("/etc/weir/mesos-secret", path)
    assert found["mesos.master"][0] == "zk://***@zk1:2181/mesos"
    assert found["flink.configuration.s3.secret-key"][0] == "***"
    assert table.stdout.splitlines()[0].split() == ["SETTING", "VALUE", "FROM"]


def test_identities_of_zookeeper_are_shown_without_the_hash_of_their_password(world: World) -> None:
    hashed = "M9zxKn7VLiVZpGJdkGWMrWXbYWM="
    users = f'["digest:ann:{hashed}", "sasl:bob", "world:anyone"]'
    path = world.file(f'[zookeeper]\nacl_users = {users}\nacl_readers = ["digest:eve:{hashed}"]', "weir.toml")

    found = shown(world, "--config", path)
    table = world.weir("config", "show", "--config", path)

    assert found["zookeeper.acl_users"][0] == ["digest:ann:***", "sasl:bob", "world:anyone"]
    assert found["zookeeper.acl_readers"][0] == ["digest:eve:***"]
    assert hashed not in table.stdout


def test_defaults_of_a_flink_version_are_shown_and_what_the_operator_decides_is_refused_with_its_path(
    world: World,
) -> None:
    section = '[flink.distributions."2.2".configuration]'
    good = world.file(f'{FILE.replace("secret_file", "#")}{section}\n"state.backend.type" = "rocksdb"', "good.toml")
    bad = world.file(f'{FILE.replace("secret_file", "#")}{section}\n"rest.port" = "8081"', "bad.toml")

    found = shown(world, "--config", good)
    refused = world.weir("config", "check", "--config", bad)

    assert found["flink.distributions.2.2.configuration.state.backend.type"] == ("rocksdb", good)
    assert refused.exit_code == 2
    assert "configuration: flink.distributions.2.2.configuration.rest.port cannot be set: it follows" in refused.stderr


def test_a_configuration_that_would_do_is_valid(world: World) -> None:
    secret = world.file("x", "mesos-secret")
    Path(secret).chmod(0o600)
    path = world.file(FILE.replace("/etc/weir/mesos-secret", secret), "weir.toml")

    result = world.weir("config", "check", "--config", path)

    assert (result.exit_code, result.stdout) == (0, f"{path}: valid\n")


def test_what_would_only_fail_at_the_start_of_a_replica_fails_the_check(world: World) -> None:
    path = world.file(FILE, "weir.toml")

    missing = world.weir("config", "check", "--config", path)
    incomplete = world.weir("config", "check", "--master", "h:5050")
    unauthenticated = world.file(
        FILE.replace('secret_file = "/etc/weir/mesos-secret"', "").replace(
            "[mesos]", 'auth_file = "/nowhere/zk"\n[mesos]'
        ),
        "auth.toml",
    )
    without_credentials = world.weir("config", "check", "--config", unauthenticated)

    assert missing.exit_code == incomplete.exit_code == without_credentials.exit_code == 2
    assert "/nowhere/zk" in without_credentials.stderr
    assert "mesos.secret_file /etc/weir/mesos-secret cannot be read: No such file or directory" in missing.stderr
    assert "no durable storage is configured" in incomplete.stderr


def test_a_secret_that_everybody_may_read_fails_the_check(world: World) -> None:
    secret = world.file("hunter2", "mesos-secret")
    path = world.file(FILE.replace("/etc/weir/mesos-secret", secret), "weir.toml")

    result = world.weir("config", "check", "--config", path)

    assert result.exit_code == 2
    assert f"is open to every user; run: chmod o-rwx {secret}" in result.stderr
    assert "hunter2" not in result.stderr


def test_certificates_for_the_master_that_cannot_be_read_fail_the_check(world: World) -> None:
    path = world.file(
        FILE.replace("[mesos]", '[mesos]\nca_file = "/nowhere/ca.pem"').replace("secret_file", "#"), "a.toml"
    )
    half = world.file(FILE.replace("[mesos]", '[mesos]\ncert_file = "/c.pem"').replace("secret_file", "#"), "b.toml")

    missing = world.weir("config", "check", "--config", path)
    alone = world.weir("config", "check", "--config", half)

    assert missing.exit_code == alone.exit_code == 2
    assert "mesos: /nowhere/ca.pem cannot be read: No such file or directory" in missing.stderr
    assert "mesos: cert_file and key_file belong together" in alone.stderr


def test_the_name_of_the_master_is_checked_unless_that_is_switched_off() -> None:
    by_default, without, plain = Mesos(tls=True), Mesos(tls=True, check_hostname=False), Mesos()

    checked, unchecked = by_default.tls_context(), without.tls_context()

    assert checked is not None
    assert unchecked is not None
    assert (checked.check_hostname, checked.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (unchecked.check_hostname, unchecked.verify_mode) == (False, ssl.CERT_REQUIRED)
    assert plain.tls_context() is None
    assert (by_default.by_name, without.by_name, plain.by_name) == (True, False, False)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[jobs]\nlost_grace = 3", "jobs.lost_grace: there is no such setting (did you mean jobs.lost_grace_s?)"),
        ("[job]\ncheck_files = true", "job: there is no such setting (did you mean jobs?)"),
        ("[zookeeper]\nmaster = 'h'", "zookeeper.master: there is no such setting (did you mean mesos.master?)"),
        ("[zookeeper]\nfrob = 1", "there is no such setting (settings of zookeeper: hosts, root, session_timeout_s"),
        ("frobnicate = 1", "there is no such setting (sections: zookeeper, mesos, storage, flink, "),
        (
            "[flink.distributions.'2.2']\nhome = '/f'\npythn = '/p'",
            "flink.distributions.2.2.pythn: there is no such setting (did you mean flink.distributions.2.2.python?)",
        ),
        ("[flink.distributions.'2.2']\njava = 'j'", "flink.distributions.2.2.home: is required (name the directory"),
        ("[storage.s3]\nend_point = 'x'", "did you mean storage.s3.endpoint?"),
        ("[zookeeper]\nhosts = 2181", "zookeeper.hosts: has to be a string, not the number 2181"),
        ("[zookeeper]\nsession_timeout_s = 0.5", "zookeeper.session_timeout_s: 0.5 is too small, the least is 1"),
        ("[zookeeper]\nsession_timeout_s = 'soon'", 'has to be a number, not the string "soon"'),
        ("[zookeeper]\nroot = 'weir/'", '"weir/" is not a path in ZooKeeper (write one such as "/weir"'),
        ("[jobs]\nmax_task_memory_mb = 1.5", "jobs.max_task_memory_mb: has to be a whole number, not the number 1.5"),
        ("[jobs]\ncheck_files = 'maybe'", 'jobs.check_files: has to be true or false, not the string "maybe"'),
        ("[log]\nformat = 'jsn'", 'log.format: "jsn" is not one of: console, json (did you mean json?)'),
        ("[api]\nadvertise = 'weir-1:8480'", '"weir-1:8480" is not an address of HTTP (write one such as'),
        ("mesos = 'h:5050'", 'mesos: has to be a table of settings, not the string "h:5050" (write [mesos])'),
        (
            "[flink.distributions.'2.2']\nhome='/f'\nconfiguraton={}",
            "did you mean flink.distributions.2.2.configuration?",
        ),
        ("[mesos]\nroles = []", "mesos.roles: is empty (leave it out for its default)"),
        ("[mesos]\nroles = 'a'", 'mesos.roles: has to be a list, not the string "a"'),
    ],
)
def test_a_mistake_is_told_with_its_path_and_what_to_write(world: World, toml: str, says: str) -> None:
    path = world.file(toml, "weir.toml")

    result = world.weir("config", "check", "--config", path)

    assert result.exit_code == 2
    assert says in result.stderr
    assert f", from {path}\n" in result.stderr or "is required" in says
    assert result.stderr.startswith("error: configuration: ")
    assert "pydantic" not in result.stderr


def test_each_mistake_has_its_line(world: World) -> None:
    path = world.file("[log]\nlevel = 'loud'\n[jobs]\nfoo = 1", "weir.toml")

    result = world.weir("run", "--config", path)

    assert [line.partition(" is ")[0].partition(": there")[0] for line in result.stderr.splitlines()] == [
        'error: configuration: log.level: "loud"',
        "error: configuration: jobs.foo",
    ]


def test_a_mistake_in_a_variable_or_a_flag_names_it() -> None:
    with pytest.raises(ConfigError, match=r"has to be a number.*, from WEIR_LOST_GRACE_S$"):
        load(None, {}, {"WEIR_LOST_GRACE_S": "soon"})
    with pytest.raises(ConfigError, match=r"from --root$"):
        load(None, {("zookeeper", "root"): "weir"}, {})


def test_a_section_that_was_given_as_a_whole_is_the_origin_of_what_is_in_it(tmp_path: Path) -> None:
    given = {("flink", "distributions"): {"2.2": {"home": "/f"}}}
    path = tmp_path / "weir.toml"
    path.write_text("[retry.flink]\npolicy = 'fixed'\n")

    loaded = load_with_origins(path, given, {})

    assert loaded.origin("flink.distributions.2.2.home") == "--flink"
    assert loaded.origin("flink.metrics") == "default"
    assert loaded.origin("retry.flink.policy") == str(path)
