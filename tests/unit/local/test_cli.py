"""`weir local`: one line on an error, data on stdout, messages on stderr."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integration.local import stack as stack_module
from integration.local.cli import group
from integration.local.flink_dist import FlinkDistribution
from integration.local.packages import Java
from integration.local.zkcli import write_script, zkcli_argv


def run(state_dir: Path, *args: str) -> Result:
    return CliRunner().invoke(group, ["--state-dir", str(state_dir), *args])


@pytest.mark.parametrize(
    "args", [("status",), ("kill", "agent-1"), ("zkcli", "get", "/x"), ("logs", "agent-1"), ("env",)]
)
def test_without_a_stack_every_command_says_so_in_one_line(tmp_path: Path, args: tuple[str, ...]) -> None:
    result = run(tmp_path, *args)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: no local stack here")
    assert "weir local up" in result.stderr


def test_status_as_json_without_a_stack(tmp_path: Path) -> None:
    result = run(tmp_path, "status", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"running": False, "stateDir": str(tmp_path), "services": []}


def test_down_without_a_stack_is_fine(tmp_path: Path) -> None:
    assert run(tmp_path, "down").exit_code == 0


def test_a_taken_port_ends_up_as_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_module, "ensure_java", lambda *_a, **_k: Java("/usr/bin/java", 17, "17"))
    monkeypatch.setattr(stack_module, "ensure_native", lambda *_a, **_k: None)
    monkeypatch.setattr(stack_module, "fetch_mesos", lambda *_a: Path("/none"))
    monkeypatch.setattr(stack_module, "build_launchers", lambda *_a: Path("/none"))
    monkeypatch.setattr(
        stack_module, "ensure_flink", lambda *_a, **_k: FlinkDistribution("2.2.1", Path("/none"), Path("/none"))
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run(tmp_path, "up", "--port-base", str(port - 10))
    assert result.exit_code == 1
    assert f"error: port {port} for zk-1 is taken" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("value", ["80", "many", "70000"])
def test_a_port_that_is_none_is_a_usage_error(tmp_path: Path, value: str) -> None:
    result = run(tmp_path, "up", "--port-base", value)
    assert result.exit_code == 2
    assert "1024 to 65000" in result.stderr


def test_a_state_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(tmp_path / "file" / "state", "up")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot create")


def test_zkcli_names_the_stack_unless_told_otherwise() -> None:
    flink = FlinkDistribution("2.2.1", Path("/flink"), Path("/python"))
    argv = zkcli_argv(flink, ["get", "/x"], server="127.0.0.1:1")
    assert argv[-4:] == ["-server", "127.0.0.1:1", "get", "/x"]
    assert zkcli_argv(flink, ["-server", "h:2", "get", "/x"], server="127.0.0.1:1").count("-server") == 1


def test_the_script_names_the_stack_unless_told_otherwise(tmp_path: Path) -> None:
    script = write_script(
        tmp_path / "bin", FlinkDistribution("2.2.1", Path("/f"), Path("/p")), "/bin/echo", "127.0.0.1:1"
    )
    assert "-server" in script.read_text()

    def tail(*args: str) -> str:
        return subprocess.run([script, *args], capture_output=True, text=True, check=True).stdout.split(
            "ZooKeeperMain "
        )[1]

    assert tail("get", "/x") == "-server 127.0.0.1:1 get /x\n"
    assert tail("-server", "h:2", "get", "/x") == "-server h:2 get /x\n"
    assert (
        tail("set", "/x", '{"a": "the -server  option"}') == '-server 127.0.0.1:1 set /x {"a": "the -server  option"}\n'
    )
