"""Rendered tasks of an installation on an object store, and Flink's plugins, without which it reaches none."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.flink.config import FlinkDistribution, FlinkSettings, S3Settings
from integration.flink.render import START, FlinkRenderer
from reconciler.model.record import Role
from reconciler.model.resources import FetchUri
from tests.unit.flink.test_render import SETTINGS, dynamic, render, spec, task

ON_S3 = replace(
    SETTINGS,
    storage="s3://weir/state",
    s3=S3Settings(
        "http://10.0.0.9:9000", "eu-1", path_style=True, access_key_file="/run/key", secret_key_file="/run/sec"
    ),
)


@pytest.mark.parametrize("role", [Role.JOB_MANAGER, Role.TASK_MANAGER])
def test_every_process_reaches_the_object_store_and_its_credentials_stay_in_their_files(role: Role) -> None:
    info = render(placed=task(role), settings=ON_S3)

    assert '"s3.endpoint": "http://10.0.0.9:9000"\n' in info.env["WEIR_CONFIG"]
    assert '"s3.endpoint.region": "eu-1"\n' in info.env["WEIR_CONFIG"]
    assert '"s3.path.style.access": "true"\n' in info.env["WEIR_CONFIG"]
    assert info.env["WEIR_SECRETS"] == "s3.access-key /run/key\ns3.secret-key /run/sec\n"
    assert dynamic(info)["high-availability.storageDir"] == "s3://weir/state/ha"


def test_state_on_an_object_store_is_accepted_when_one_is_configured() -> None:
    renderer = FlinkRenderer(ON_S3)

    renderer.check(spec({"initialSavepointPath": "s3a://other/sp/1"}, snapshots={"savepointDir": "s3://weir/sp"}))
    with pytest.raises(ValueError, match=r"snapshots.savepointDir: s3://weir//sp is not an S3 URI"):
        renderer.check(spec(snapshots={"savepointDir": "s3://weir//sp"}))


@pytest.mark.parametrize(
    "key",
    [
        "s3.endpoint",
        "s3.access-key",
        "s3.secret.key",
        "fs.s3a.endpoint",
        "presto.s3.path-style-access",
        "s3a.access.key",
    ],
)
def test_f43_a_job_cannot_have_its_state_where_the_operator_does_not_look(key: str) -> None:
    elsewhere = spec(flinkConfiguration={key: "x"})

    with pytest.raises(ValueError, match=f"flinkConfiguration {key} cannot be set"):
        FlinkRenderer(ON_S3).check(elsewhere)
    with pytest.raises(ValueError, match=f"configuration.{key} cannot be set"):
        replace(ON_S3, configuration={key: "x"})
    FlinkRenderer(SETTINGS).check(elsewhere)  # without an object store of the operator's it is the job's own


def test_other_buckets_of_a_job_and_tuning_are_its_own_business() -> None:
    FlinkRenderer(ON_S3).check(
        spec(
            flinkConfiguration={
                "fs.s3a.bucket.in.endpoint": "http://x:1",
                "s3.entropy.length": "4",
                "s3.connection.maximum": "9",
            }
        )
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "10.0.0.9:9000"}, "not a URL"),
        ({"endpoint": "http://key:secret@host"}, "not a URL"),
        ({"access_key_file": "/run/key"}, "belong together"),
        ({"access_key_file": "key", "secret_key_file": "/run/sec"}, "not an absolute path"),
        ({"access_key_file": "/run/a\nb", "secret_key_file": "/run/sec"}, "not an absolute path"),
    ],
)
def test_an_object_store_that_cannot_be_used_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        S3Settings(**settings)


# Plugins of Flink


def with_plugins(*plugins: str, tarball: str | None = None) -> FlinkSettings:
    home = "flink-2.2.1" if tarball else "/opt/flink"
    return replace(
        SETTINGS,
        distributions={"2.2": FlinkDistribution("2.2.1", home, "/opt/py/bin/python", tarball=tarball, plugins=plugins)},
    )


def test_a_plugin_from_elsewhere_is_fetched_and_named_by_its_file() -> None:
    info = render(settings=with_plugins("opt/a-1.jar", "https://repo/x/b%201.jar", "/srv/plugins/c"))

    assert FetchUri("https://repo/x/b%201.jar", cache=True, output_file="b 1.jar") in info.uris
    assert info.env["WEIR_PLUGINS"] == "opt/a-1.jar\n./b 1.jar\n/srv/plugins/c\n"
    assert "WEIR_PLUGINS" not in render().env


@pytest.mark.parametrize("plugin", ["", "/", "a\nb", "https://repo/plugins/"])
def test_what_cannot_be_a_plugin_is_refused(plugin: str) -> None:
    with pytest.raises(ValueError, match="plugin"):
        with_plugins(plugin)


def test_the_script_puts_plugins_beside_those_of_the_distribution(tmp_path: Path) -> None:
    home, sandbox = tmp_path / "flink", tmp_path / "sandbox"
    for jar in ("plugins/metrics/m.jar", "plugins/old/old.jar", "opt/s3-1.jar"):
        (home / jar).parent.mkdir(parents=True, exist_ok=True)
        (home / jar).write_text(jar)
    (home / "plugins" / "README.txt").touch()
    several = tmp_path / "old"
    several.mkdir()
    (several / "new.jar").touch()
    sandbox.mkdir()
    (sandbox / "fetched one.jar").touch()

    found = _run(sandbox, home, f"opt/s3-1.jar\n./fetched one.jar\n{several}/\n")

    assert found.stdout == f"{sandbox}/plugins\n"
    plugins = sandbox / "plugins"
    assert {str(path.relative_to(plugins)) for path in plugins.glob("*/*.jar")} == {
        "metrics/m.jar", "old/new.jar", "s3-1/s3-1.jar", "fetched one/fetched one.jar",
    }  # fmt: skip
    assert (home / "plugins" / "old" / "old.jar").exists()
    assert (plugins / "s3-1" / "s3-1.jar").read_text() == "opt/s3-1.jar"


def test_a_plugin_that_is_not_there_ends_the_task_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()

    found = _run(tmp_path / "sandbox", tmp_path / "flink", "opt/none.jar\n")

    assert found.returncode == 78
    assert f"the Flink plugin {tmp_path}/flink/opt/none.jar cannot be read" in found.stderr


def _run(sandbox: Path, home: Path, plugins: str) -> subprocess.CompletedProcess[str]:
    """The start script with a "JVM" that prints where it would look for plugins."""
    java = sandbox.parent / "java"
    java.write_text('#!/bin/sh\necho "$FLINK_PLUGINS_DIR"\n')
    java.chmod(0o755)
    env = {
        "PATH": "/usr/bin:/bin", "MESOS_SANDBOX": str(sandbox), "FLINK_HOME": str(home), "FLINK_LIB_DIR": f"{home}/lib",
        "FLINK_OPT_DIR": f"{home}/opt", "FLINK_PLUGINS_DIR": f"{home}/plugins", "WEIR_LOG4J": "", "WEIR_CONFIG": "",
        "WEIR_PLUGINS": plugins,
    }  # fmt: skip
    argv = ["/bin/sh", "-c", START, "weir", str(java)]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=30)
