"""The environment of masters and agents: every flag of theirs is a variable MESOS_<FLAG>."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from integration.local.config import Layout, LocalConfig

# Nothing of the caller's environment reaches Mesos: a stray MESOS_ or LIBPROCESS_ variable would be a flag.
_BASE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def duration(seconds: float) -> str:
    """A duration as Mesos reads it."""
    return f"{round(seconds * 1000)}ms"


def _common(config: LocalConfig, address: tuple[str, int]) -> dict[str, str]:
    return {
        **_BASE,
        "LIBPROCESS_IP": address[0],
        "LIBPROCESS_PORT": str(address[1]),
        "LIBPROCESS_NUM_WORKER_THREADS": "4",  # at least 8 by default, for each of them
        "WEIR_ZK_SESSION_TIMEOUT": str(config.zk_session_timeout),
        "MESOS_LOGGING_LEVEL": "INFO",
    }


def _flags(*maps: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for flags in maps:
        for name, value in flags.items():
            key = name.upper()
            found[key if key.startswith("MESOS_") else f"MESOS_{key}"] = str(value)
    return found


def master_environment(layout: Layout, number: int) -> dict[str, str]:
    """Environment of a master, from 1."""
    config = layout.config
    address = layout.master_address(number)
    work = layout.state / "masters" / f"master-{number}"
    work.mkdir(parents=True, exist_ok=True)
    return {
        **_common(config, address),
        "MESOS_ZK": layout.master_url,
        "MESOS_WORK_DIR": str(work),
        "MESOS_NUM_SLAVES": "0",
        "MESOS_HOSTNAME": address[0],  # redirects to the leading master name this
        "MESOS_REGISTRY": "in_memory",
        "WEIR_REGISTRY_FILE": str(layout.registry),
        "MESOS_AGENT_PING_TIMEOUT": duration(config.agent_ping_timeout),
        "MESOS_MAX_AGENT_PING_TIMEOUTS": str(config.max_agent_ping_timeouts),
        "MESOS_ALLOCATION_INTERVAL": "200ms",
        **_flags(config.mesos_flags, config.master_flags),
    }


def agent_environment(layout: Layout, number: int, launcher_dir: Path) -> dict[str, str]:
    """Environment of an agent, from 1."""
    config = layout.config
    home = layout.agent_dir(number)
    home.mkdir(parents=True, exist_ok=True)
    first, last = layout.task_ports(number)
    resources = config.agent_resources.get(number, config.resources)
    if "ports:" not in resources:
        resources = f"{resources};ports:[{first}-{last}]"
    return {
        **_common(config, layout.agent_address(number)),
        "MESOS_MASTER": layout.master_url,
        "MESOS_WORK_DIR": str(home / "work"),
        "MESOS_RUNTIME_DIR": str(home / "run"),
        "MESOS_FETCHER_CACHE_DIR": str(home / "fetch"),
        "MESOS_LAUNCHER_DIR": str(launcher_dir),
        "MESOS_LAUNCHER": "posix",
        "MESOS_CONTAINERIZERS": "mesos",
        "MESOS_ISOLATION": "filesystem/posix,posix/cpu,posix/mem",
        "MESOS_SYSTEMD_ENABLE_SUPPORT": "false",
        "MESOS_HTTP_COMMAND_EXECUTOR": "true",
        "MESOS_SWITCH_USER": "false",
        "MESOS_HOSTNAME": f"agent-{number}",
        "MESOS_ATTRIBUTES": config.agent_attributes.get(number, f"rack:r{number}"),
        "MESOS_RESOURCES": resources,
        "MESOS_REGISTRATION_BACKOFF_FACTOR": "100ms",
        # An agent that comes back waits this long, always, before it re-registers; an executor that has not
        # re-subscribed by then is killed. Executors try four times a second.
        "MESOS_EXECUTOR_REREGISTRATION_TIMEOUT": "3secs",
        "MESOS_EXECUTOR_REREGISTRATION_RETRY_INTERVAL": "1secs",
        "MESOS_RECONFIGURATION_POLICY": "additive",
        # Sandboxes of ended tasks hold unpacked jars: keep an hour of them, less when the disk is full.
        "MESOS_GC_DELAY": "1hrs",
        "MESOS_DISK_WATCH_INTERVAL": "1mins",
        **_flags(config.mesos_flags, config.agent_flags),
    }
