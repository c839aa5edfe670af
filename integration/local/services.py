"""What the supervisor is told to run: one specification per server of the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from integration.local import zookeeper
from integration.local.config import Layout
from integration.local.control import ServiceSpec
from integration.local.flink_dist import FlinkDistribution
from integration.local.mesos_env import agent_environment, master_environment
from integration.local.packages import Java


def zookeeper_specs(layout: Layout, java: Java, flink: FlinkDistribution) -> list[ServiceSpec]:
    """The ZooKeeper servers; their configuration is written on the way."""
    specs = []
    for number, name in enumerate(layout.zookeepers, start=1):
        config = zookeeper.write_config(layout, number)
        specs.append(
            ServiceSpec(
                name=name,
                argv=zookeeper.server_argv(java.path, flink, config),
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
                cwd=str(config.parent),
                log=_log(layout, name),
                kind="zookeeper",
                address=_address(("127.0.0.1", layout.zk_port(number))),
            )
        )
    return specs


def mesos_specs(layout: Layout, launchers: Path) -> list[ServiceSpec]:
    """Masters and agents. Both are started again when they end by themselves, as a production init does it:
    a master that loses its leadership ends on purpose.
    """
    specs = [
        ServiceSpec(
            name=name,
            argv=[str(launchers / "mesos-master")],
            env=master_environment(layout, number),
            cwd=str(layout.state),
            log=_log(layout, name),
            kind="master",
            address=_address(layout.master_address(number)),
            restart_on_exit=True,
        )
        for number, name in enumerate(layout.masters, start=1)
    ]
    for number, name in enumerate(layout.agents, start=1):
        specs.append(
            ServiceSpec(
                name=name,
                argv=[str(launchers / "mesos-agent")],
                env=agent_environment(layout, number, launchers),
                cwd=str(layout.agent_dir(number)),
                log=_log(layout, name),
                kind="agent",
                address=_address(layout.agent_address(number)),
                sandboxes=str(layout.agent_dir(number)),
                restart_on_exit=True,
            )
        )
    return specs


def extra_spec(
    layout: Layout,
    name: str,
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    *,
    cwd: Path | None,
    address: str,
    restart_on_exit: bool,
) -> ServiceSpec:
    """A process of the caller's, e.g. a replica of the operator."""
    return ServiceSpec(
        name=name,
        argv=list(argv),
        env={**os.environ, **(env or {})},
        cwd=str(cwd or layout.state),
        log=_log(layout, name),
        address=address,
        restart_on_exit=restart_on_exit,
    )


def last_line(path: Path) -> str:
    """The last line of a log, for an error message."""
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it wrote no log"
    return lines[-1][:300] if lines else "its log is empty"


def _log(layout: Layout, name: str) -> str:
    return str(layout.logs / f"{name}.log")


def _address(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
