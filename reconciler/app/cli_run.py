"""`weir run`: one replica in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.app import config as configuration
from reconciler.app.cli_errors import INTERRUPTED, NO_ZOOKEEPER, Problem
from reconciler.app.cli_services import LocalAddresses, Services, check_hosts, check_root, note, require_server, why_not
from reconciler.app.config_flags import DISTRIBUTION, parse_distribution

if TYPE_CHECKING:
    from reconciler.app.replica import Replica

_VARIABLES = ("WEIR_ZK", "WEIR_MASTER", "WEIR_STORAGE")


_OPTIONS = (
    click.option(
        "--config", "path", metavar="FILE", type=click.Path(path_type=Path), help="Configuration, TOML (WEIR_CONFIG)."
    ),
    click.option("--zk", metavar="HOSTS", help="ZooKeeper, as HOST:PORT[,HOST:PORT...] (WEIR_ZK)."),
    click.option("--root", metavar="PATH", help="Root of this installation in ZooKeeper (WEIR_ROOT).  [/weir]"),
    click.option("--master", metavar="URL", help="Mesos master: zk://HOSTS/mesos or HOST:PORT[,...] (WEIR_MASTER)."),
    click.option("--storage", metavar="URI", help="Durable directory that every agent reaches (WEIR_STORAGE)."),
    click.option(
        "--flink",
        multiple=True,
        metavar=DISTRIBUTION,
        help="A Flink distribution on the agents, from an archive (tarball=) or in a container image (image=), with "
        "plugins beside its own; repeatable. Replaces those of the configuration.",
    ),
    click.option("--session-timeout", type=float, metavar="SECONDS", help="Of the ZooKeeper session.  [10]"),
    click.option("--replica", metavar="NAME", help="Name of this replica (WEIR_REPLICA).  [host and pid]"),
    click.option("--api", metavar="HOST:PORT", help="Where HTTP listens, or off (WEIR_API).  [127.0.0.1:8480]"),
    click.option("--log-format", type=click.Choice(["console", "json"]), help="WEIR_LOG_FORMAT.  [console]"),
    click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="WEIR_LOG_LEVEL.  [info]"
    ),
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that set something, on every command that reads the configuration."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@settings_options
@click.pass_obj
def run(services: Services, /, path: Path | None, zk: str | None, root: str | None, **options: Any) -> None:
    """Run one replica of the operator.

    Several replicas may run; ZooKeeper elects one leader, and another takes over when it is gone.
    Settings come from the flags, else the environment, else the configuration file. With none of
    them, a local stack that is up is used for everything.
    """
    loaded = effective(services, path, zk, root, options).config
    hosts, _ = check_hosts(loaded.zookeeper.hosts), check_root(loaded.zookeeper.root)

    from reconciler.app import logs, replica
    from reconciler.ports import StoreUnavailable

    logs.configure(loaded.log.format, loaded.log.level)
    checked = replica.check(loaded)
    require_server(services, hosts)
    try:
        process = replica.Replica(checked)
    except StoreUnavailable:
        raise Problem(why_not(hosts, checked.access.tls), NO_ZOOKEEPER) from None
    stop_on_signals(process)
    process.run()


def effective(
    services: Services, path: Path | None, zk: str | None, root: str | None, options: Mapping[str, Any]
) -> configuration.Loaded:
    """The settings of the flags, else of the environment, else of the file; of a local stack when nothing was said."""
    hosts, path = services.zk, path or services.config
    services = replace(services, zk=zk or services.zk, root=root or services.root)
    flags: dict[tuple[str, str], Any] = {
        ("zookeeper", "hosts"): services.zk,
        ("zookeeper", "root"): services.root,
        ("zookeeper", "session_timeout_s"): options["session_timeout"],
        ("mesos", "master"): options["master"],
        ("storage", "uri"): options["storage"],
        ("replica", "name"): options["replica"],
        ("api", "listen"): options["api"],
        ("log", "format"): options["log_format"],
        ("log", "level"): options["log_level"],
    }
    if options["flink"]:
        found = [parse_distribution(text) for text in options["flink"]]
        flags["flink", "distributions"] = dict(found)
    names = dict(configuration.FLAGS)
    for variable, value, own in (("WEIR_ZK", services.zk, zk), ("WEIR_ROOT", services.root, root)):
        # The group of all commands has read the variable already.
        if own is None and value is not None and os.environ.get(variable) == value:
            names[configuration.ENVIRONMENT[variable]] = variable
    said = path or options["master"] or options["storage"] or hosts or zk
    local: dict[tuple[str, str], Any] = {}
    if not said and not any(os.environ.get(variable) for variable in _VARIABLES):
        local = _of_local_stack(services, distributions=not options["flink"])
    elif path is None and not options["flink"]:
        local = _flink_of_local_stack(services)
    flags.update(local)
    names.update(dict.fromkeys(local, "the local stack"))
    return configuration.load_with_origins(path, flags, names=names)


def _of_local_stack(services: Services, *, distributions: bool) -> dict[tuple[str, str], Any]:
    local = services.find_local()
    if local is None:
        return {}
    note(f"using the local stack of {local.state_dir}: ZooKeeper {local.zk}, Mesos {local.master}")
    flags: dict[tuple[str, str], Any] = {
        ("zookeeper", "hosts"): local.zk,
        ("mesos", "master"): local.master,
        ("storage", "uri"): local.storage,
    }
    if distributions:
        flags["flink", "distributions"] = _distributions(local)
    return flags


def _distributions(local: LocalAddresses) -> dict[str, dict[str, Any]]:
    return {series: dict(settings) for series, settings in local.flink.items()}


def _flink_of_local_stack(services: Services) -> dict[tuple[str, str], Any]:
    """After `eval "$(weir local env)"`: the addresses are in the environment, the Flink distributions are not."""
    local = services.find_local()
    if local is None or services.zk != local.zk:
        return {}
    note(f"using Flink of the local stack of {local.state_dir}")
    return {("flink", "distributions"): _distributions(local)}


def stop_on_signals(process: Replica) -> None:
    """The first SIGTERM or SIGINT hands leadership over and leaves; the second leaves at once."""
    stopping = threading.Event()

    def stop(number: int, _frame: object) -> None:
        if stopping.is_set():
            os._exit(INTERRUPTED if number == signal.SIGINT else 128 + number)
        stopping.set()
        # Not from here: this thread may hold the very locks that stopping takes.
        threading.Thread(target=process.stop, name="weir-stop", daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
