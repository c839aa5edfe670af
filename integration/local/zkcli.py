"""ZooKeeper's own command line client (``zkCli.sh``), out of Flink's distribution.

The state directory gets a ``bin/zkCli.sh`` that takes the same arguments as the one people know. Arguments pass
unharmed: JSON with spaces, several lines, any alphabet.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from integration.local.flink_dist import FlinkDistribution

_MAIN = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.ZooKeeperMain"
_UTF8 = "C.UTF-8"  # under LC_ALL=C the JVM mangles arguments that are not ASCII


def zkcli_argv(
    flink: FlinkDistribution, args: Sequence[str], *, java: str = "java", server: str | None = None
) -> list[str]:
    """The command line of the client; ``server`` is the connection string unless ``args`` name one."""
    where = ["-server", server] if server and "-server" not in args else []
    return [*_java(java, flink), *where, *args]


def zkcli_env(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that the client needs to pass text of any alphabet."""
    env = dict(os.environ if base is None else base)
    env.pop("JAVA_TOOL_OPTIONS", None)
    env["LC_ALL"] = _UTF8
    return env


def write_script(directory: Path, flink: FlinkDistribution, java: str, server: str) -> Path:
    """Writes ``zkCli.sh``; without ``-server`` it talks to this stack."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "zkCli.sh"
    script.write_text(
        "#!/bin/sh\n"
        "# ZooKeeper's own command line client, as carried by Flink's distribution.\n"
        f"export LC_ALL={_UTF8}\n"
        "given=\n"
        'for argument do [ "$argument" != -server ] || given=yes; done\n'
        f'[ -n "$given" ] || set -- -server {shlex.quote(server)} "$@"\n'
        f'exec {shlex.join(_java(java, flink))} "$@"\n'
    )
    script.chmod(0o755)
    return script


def _java(java: str, flink: FlinkDistribution) -> list[str]:
    options = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.apache.logging.log4j.level=OFF"]
    return [java, *options, "-Dfile.encoding=UTF-8", "-cp", flink.classpath, _MAIN]
