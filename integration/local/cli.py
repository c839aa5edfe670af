"""``weir local ...``: the local stack from the command line. Messages go to stderr, data to stdout."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import structlog
from rich.console import Console
from rich.table import Table

from integration.local import tasks, zkcli
from integration.local.config import LocalConfig, default_state_dir, load_config
from integration.local.control import ServiceStatus
from integration.local.errors import LocalStackError, NotRunning
from integration.local.flink_plugins import PLUGINS
from integration.local.packages import ensure_java
from integration.local.progress import Silent, Terminal
from integration.local.stack import LocalStack

P = ParamSpec("P")
R = TypeVar("R")

_DAY = 86400.0
_STATE_STYLE = {"running": "green", "paused": "yellow", "restarting": "yellow", "exited": "red", "killed": "red"}


def _one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turns errors that a person can act on into one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except LocalStackError as error:
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(1)

    return wrapped


@click.group(name="local")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="WEIR_LOCAL_STATE",
    help="Where everything of the stack lives.  [default: ~/.local/state/weir/local]",
)
@click.pass_context
def group(context: click.Context, state_dir: Path | None) -> None:
    """A real ZooKeeper, Mesos and Flink on this machine: one command, no cluster."""
    context.obj = (state_dir or default_state_dir()).expanduser().absolute()
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )


def _port(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """A port number; "auto" is -1."""
    if value is None or value == "auto":
        return None if value is None else -1
    if not value.isdigit() or not 1024 <= int(value) <= 65000:
        raise click.BadParameter("a number from 1024 to 65000, or auto")
    return int(value)


@group.command()
@click.option("--agents", type=click.IntRange(1, 20), help="Mesos agents.  [default: 2]")
@click.option("--masters", type=click.IntRange(1, 9), help="Mesos masters; ZooKeeper elects one.  [default: 2]")
@click.option("--zookeepers", type=click.IntRange(1, 9), help="ZooKeeper servers, an odd number.  [default: 1]")
@click.option("--port-base", callback=_port, help="First port of the services, or auto.  [default: 21800]")
@click.option(
    "--task-port-base",
    callback=_port,
    help="First port that agents offer, or auto.  [default: 31000 with the default port base, else auto]",
)
@click.option("--resources", help='Of each agent, e.g. "cpus:4;mem:4096;disk:10000".')
@click.option("--flink", "flink_versions", multiple=True, help="Flink version, repeatable.  [default: 2.2]")
@click.option(
    "--flink-plugin",
    "flink_plugins",
    multiple=True,
    type=click.Choice(list(PLUGINS)),
    help="Plugin of Flink, repeatable.",
)
@click.option("--no-install", is_flag=True, help="Never install system packages; say the command instead.")
@click.pass_obj
@_one_line_errors
def up(
    state_dir: Path,
    /,
    no_install: bool,
    flink_versions: tuple[str, ...],
    flink_plugins: tuple[str, ...],
    **settings: Any,
) -> None:
    """Start what does not run yet, and wait until all of it works."""
    began = time.monotonic()
    config = load_config(state_dir) or LocalConfig(state_dir=state_dir)
    chosen: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    chosen |= {name: None for name, value in chosen.items() if value == -1}  # auto
    if "port_base" in chosen:  # stored task ports belong to the stored port base
        chosen.setdefault("task_port_base", None)
    if flink_versions:
        chosen["flink_versions"] = flink_versions
    if flink_plugins:
        chosen["flink_plugins"] = flink_plugins
    chosen["owner_pid"] = None  # a stack that was started from here belongs to nobody
    config = dataclasses.replace(config, install_packages=not no_install, **chosen)
    stack = LocalStack(config).up(Terminal())
    leader = stack.leader()
    click.echo(f"the local stack is up ({time.monotonic() - began:.1f} s)", err=True)
    click.echo(f"  ZooKeeper  {stack.zk}", err=True)
    click.echo(f"  Mesos      {stack.master_url}  (leader {leader.url if leader else 'none'})", err=True)
    click.echo(f"  logs       {stack.state_dir / 'logs'}", err=True)


@group.command()
@click.option("--clean", is_flag=True, help="Also remove sandboxes and logs.")
@click.option("--purge", is_flag=True, help="Also remove ZooKeeper's data and the durable storage: start from nothing.")
@click.pass_obj
@_one_line_errors
def down(state_dir: Path, clean: bool, purge: bool) -> None:
    """Stop everything; nothing keeps running, data stays."""
    stack = LocalStack(load_config(state_dir) or LocalConfig(state_dir=state_dir))
    stack.down(clean=clean, purge=purge)
    click.echo("the local stack is down", err=True)


@group.command()
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_obj
@_one_line_errors
def status(state_dir: Path, output: str) -> None:
    """What runs, where, since when, and where its log is."""
    try:
        stack = LocalStack.attach(state_dir)
        services = stack.status()
    except NotRunning:
        if output == "json":
            click.echo(json.dumps({"running": False, "stateDir": str(state_dir), "services": []}))
            sys.exit(1)
        raise
    leader = stack.leader()
    if output == "table":
        Console(width=None if sys.stdout.isatty() else 200).print(_table(services, leader.name if leader else ""))
        click.echo(f"logs in {stack.state_dir / 'logs'}")
        return
    click.echo(
        json.dumps(
            {
                "running": True,
                "stateDir": str(state_dir),
                "zk": stack.zk,
                "master": stack.master_url,
                "leader": leader.name if leader else None,
                "services": [service.to_json() for service in services],
            },
            indent=2,
        )
    )


def _table(services: list[ServiceStatus], leader: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("SERVICE", "STATE", "PID", "ADDRESS", "SINCE", "PROCESSES", "LOG"):
        table.add_column(title, no_wrap=title != "STATE")
    for service in services:
        state = service.state
        if service.exit_code is not None and state == "exited":
            state += f" ({service.exit_code})" if service.exit_code >= 0 else f" (signal {-service.exit_code})"
        if service.name == leader:
            state += ", leads"
        if service.restarts:
            state += f", restarted {service.restarts}x"
        table.add_row(
            service.name,
            f"[{_STATE_STYLE.get(service.state, 'default')}]{state}[/]",
            str(service.pid or "-"),
            service.address or "-",
            time.strftime(
                "%H:%M:%S" if time.time() - service.since < _DAY else "%Y-%m-%d", time.localtime(service.since)
            ),
            str(len(service.tasks)) if service.tasks else "-",
            Path(service.log).name,
        )
    return table


def _simple(name: str, doc: str, done: str) -> None:
    """Registers a command that takes the name of a service."""

    @group.command(name=name, help=doc, short_help=doc.split(".")[0])
    @click.argument("service")
    @click.pass_obj
    @_one_line_errors
    def command(state_dir: Path, service: str) -> None:
        getattr(LocalStack.attach(state_dir), name)(service)
        click.echo(f"{service} {done}", err=True)


@group.command()
@click.argument("service")
@click.pass_obj
@_one_line_errors
def kill(state_dir: Path, service: str) -> None:
    """SIGKILL a service, or the JVM of a task. agent-2 is the process only, its tasks live on; host-2 is all of it.

    A task is named by its id, or by a pattern for ids: weir local kill 'orders.*.tm.*'.
    """
    stack = LocalStack.attach(state_dir)
    names = [service]
    if "." in service:  # ids of tasks have dots, names of services have none
        names = tasks.kill(stack.layout, service)
    else:
        stack.kill(service)
    for name in names:
        click.echo(f"{name} killed", err=True)


_simple("start", "Start a service that is down.", "started")
_simple("stop", "End a service in an orderly way; it stays down.", "stopped")
_simple("restart", "Stop and start a service.", "restarted")
_simple("pause", "SIGSTOP a service: it keeps its connections and says nothing.", "paused")
_simple("resume", "SIGCONT a service that was paused.", "resumed")


@group.command()
@click.argument("service")
@click.option("-f", "--follow", is_flag=True, help="Go on as it grows.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many lines of its end.")
@click.pass_obj
@_one_line_errors
def logs(state_dir: Path, service: str, follow: bool, lines: int) -> None:
    """Show the log of a service."""
    path = LocalStack.attach(state_dir).logs(service)
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(path)])  # noqa: S606


@group.command(
    name="zkcli", context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
@_one_line_errors
def zkcli_command(state_dir: Path, args: tuple[str, ...]) -> None:
    """ZooKeeper's own client: weir local zkcli -- get /weir/jobs/x."""
    stack = LocalStack.attach(state_dir)
    flink = next(iter(stack.flink.values()))
    java = ensure_java(Silent(), install=False)
    argv = zkcli.zkcli_argv(flink, args, java=java.path, server=stack.zk)
    sys.stdout.flush()
    os.execve(argv[0], argv, zkcli.zkcli_env())  # noqa: S606


@group.command()
@click.pass_obj
@_one_line_errors
def env(state_dir: Path) -> None:
    """Print shell assignments of the stack's addresses: eval "$(weir local env)"."""
    stack = LocalStack.attach(state_dir)
    click.echo(f"export WEIR_ZK={stack.zk}")
    click.echo(f"export WEIR_MASTER={stack.master_url}")
    click.echo(f"export WEIR_STORAGE={stack.storage_dir.as_uri()}")
    click.echo(f'export PATH={stack.layout.bin}:"$PATH"')
