"""What is in `deploy/` fits the replica that is shipped: settings, command lines, images."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from integration.containers.recipes import recipes
from reconciler.app import config, replica
from reconciler.app.cli_run import effective, run
from reconciler.app.cli_services import Services
from tests.unit.deploy.marathon_schema import APP

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())


def accepted(arguments: Sequence[str], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> replica.Checked:
    """What `weir run` makes of a command line and an environment, up to where it would connect."""
    for variable in config.ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    parsed = run.make_context("run", list(arguments), obj=Services())
    assert isinstance(parsed, click.Context)
    options: dict[str, Any] = dict(parsed.params)
    path = options.pop("path")
    return replica.check(effective(Services(), path, options.pop("zk"), options.pop("root"), options).config)


def test_the_example_configuration_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = accepted(["--config", str(DEPLOY / "config" / "weir.toml")], {}, monkeypatch)
    assert set(checked.flink.distributions) == {"2.2", "1.20"}
    assert checked.config.api.listen == "0.0.0.0:8480"


def test_the_example_environment_names_variables_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (DEPLOY / "config" / "weir.env").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(environ) <= set(config.ENVIRONMENT)
    checked = accepted(["--config", str(DEPLOY / "config" / "weir.toml")], environ, monkeypatch)
    assert checked.config.replica.name == "replica-1"


def replicas() -> list[tuple[str, dict[str, Any]]]:
    return [(name, each) for name, each in COMPOSE["services"].items() if name.startswith("replica")]


@pytest.mark.parametrize(("name", "service"), replicas())
def test_the_replicas_of_the_compose_file_are_accepted(
    name: str, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = service["command"]
    assert command[0] == "run"
    checked = accepted(command[1:], service["environment"], monkeypatch)
    assert checked.config.replica.name == name
    mounted = service["volumes"][0].split(":")[1]
    assert checked.storage.startswith(f"file://{mounted}")


def test_the_compose_file_has_the_whole_cluster() -> None:
    kinds = [name.rstrip("-123") for name in COMPOSE["services"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {"zk": 3, "master": 2, "agent": 2, "replica": 3}


def test_the_compose_file_refers_to_what_there_is() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"]), name


def test_the_compose_file_runs_images_that_are_built_here_or_named_by_the_same_variables() -> None:
    built = {recipe.variable: f"weir/{recipe.name}:latest" for recipe in recipes().values()}
    for service in COMPOSE["services"].values():
        variable, _, default = service["image"].strip("${}").partition(":-")
        assert built[variable] == default


def test_the_servers_of_the_compose_file_know_each_other() -> None:
    servers = {name: each for name, each in COMPOSE["services"].items() if name.startswith("zk")}
    wanted = " ".join(f"server.{n}={name}:2888:3888;2181" for n, name in enumerate(servers, start=1))
    assert {each["environment"]["ZOO_SERVERS"] for each in servers.values()} == {wanted}
    assert [each["environment"]["ZOO_MY_ID"] for each in servers.values()] == ["1", "2", "3"]
    hosts = ",".join(f"{name}:2181" for name in servers)
    assert COMPOSE["services"]["replica-1"]["environment"]["WEIR_ZK"] == hosts
    assert COMPOSE["services"]["agent-1"]["environment"]["MESOS_MASTER"] == f"zk://{hosts}/mesos"


def test_marathon_accepts_the_app_definition() -> None:
    app = json.loads((DEPLOY / "marathon" / "weir.json").read_text())
    jsonschema.validate(app, APP, cls=jsonschema.Draft202012Validator)


def test_the_app_definition_starts_a_replica_that_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    app = json.loads((DEPLOY / "marathon" / "weir.json").read_text())
    assert app["args"][0] == "run"
    checked = accepted(app["args"][1:], app["env"], monkeypatch)
    assert checked.config.api.listen.endswith(f":{app['portDefinitions'][0]['port']}")
    assert app["instances"] == 3
    assert ["hostname", "UNIQUE"] in app["constraints"]


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "systemd" / "weir.service")
    return parser


def test_the_unit_starts_a_replica_with_the_installed_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    program, command, *arguments = shlex.split(unit()["Service"]["ExecStart"])
    assert (program, command) == ("/opt/weir/bin/weir", "run")
    here = [each.replace("/etc/weir/", f"{DEPLOY}/config/") for each in arguments]
    assert accepted(here, {}, monkeypatch).master.startswith("zk://")


def test_the_unit_does_not_repeat_a_configuration_that_cannot_be_used() -> None:
    service = unit()["Service"]
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["KillSignal"] == "SIGTERM"


def test_the_page_that_the_unit_names_is_put_there_by_its_steps() -> None:
    text = (DEPLOY / "systemd" / "weir.service").read_text()
    page = Path(text.partition("Documentation=file:")[2].splitlines()[0])
    put = re.findall(r"install -D .* docs/(\S+) -t (\S+)", text)

    assert [folder for pattern, folder in put if page.match(pattern)] == [str(page.parent)]
    assert (DEPLOY.parent / "docs" / page.name).exists()


def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    """With the program at a path that exists; where systemd is not installed, its words are at least known ones."""
    source = (DEPLOY / "systemd" / "weir.service").read_text()
    if (analyze := shutil.which("systemd-analyze")) is None:
        assert set(unit()) == {"DEFAULT", "Unit", "Service", "Install"}
        return
    path = tmp_path / "weir.service"
    path.write_text(source.replace("/opt/weir/bin/weir", "/bin/true"))
    done = subprocess.run(
        [analyze, "verify", str(path)], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "weir.service" in line]
    assert not ours, ours
