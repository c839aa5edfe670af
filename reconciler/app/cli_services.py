"""What the commands stand on: which ZooKeeper, a connection with it, the time. Tests replace parts of it."""

from __future__ import annotations

import functools
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from reconciler.app.cli_errors import NO_ZOOKEEPER, USAGE, Problem
from reconciler.model.status import LeaderInfo, Status
from reconciler.ports import JobWriter, Store, StoreUnavailable
from state.access import Tls

if TYPE_CHECKING:
    from integration.mesos.sandbox import SandboxFiles
    from reconciler.app.config import Config, Mesos, ZooKeeper
    from state.client import KazooClient
    from state.znodes import Znodes

DEFAULT_ZK = "127.0.0.1:2181"
CONNECT_S = 3.0
"""A wrong address has to be told within five seconds, with the time to find out why."""
COMPLETE_S = 1.0
SESSION_S = 2.0
"""A command has no ephemeral nodes to keep. Kazoo waits for this long for a server that accepts a
connection and says nothing, also when it is told to stop."""


class JobStore(Store, JobWriter, Protocol):
    """What the commands need of the tree."""

    def list_statuses(self) -> dict[str, Status]: ...

    def last_leader(self) -> LeaderInfo | None:
        """Who led last, whether or not it leads now."""
        ...


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """Where a local stack that is up listens, and what it has."""

    state_dir: Path
    zk: str
    master: str
    storage: str
    flink: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Distributions, by version as specs name it."""


def quiet() -> None:
    """Commands say once what is wrong; the libraries would say it on each attempt."""
    import structlog

    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    if not structlog.is_configured():
        from reconciler.app import logs

        logs.configure("console", "error")


@contextmanager
def open_zookeeper(hosts: str, root: str, settings: ZooKeeper) -> Iterator[JobStore]:
    """A connection for the time of one command."""
    from state.zookeeper import ZooKeeperStore

    with _connection(hosts, settings) as client:
        yield ZooKeeperStore(client, root)


@contextmanager
def open_soon(hosts: str, root: str, settings: ZooKeeper) -> Iterator[JobStore]:
    """For a shell that waits between two keys: what does not answer within a second is not there."""
    from state.zookeeper import ZooKeeperStore

    with _connection(hosts, settings, COMPLETE_S) as client:
        yield ZooKeeperStore(client, root)


@contextmanager
def open_znodes(hosts: str, settings: ZooKeeper) -> Iterator[Znodes]:
    """The same, for what looks at the tree as it is."""
    from state.znodes import ZooKeeperZnodes

    with _connection(hosts, settings) as client:
        yield ZooKeeperZnodes(client)


@contextmanager
def _connection(hosts: str, settings: ZooKeeper, timeout: float = CONNECT_S) -> Iterator[KazooClient]:
    from state.client import connect

    quiet()
    access = settings.access()
    try:
        client = connect(hosts, session_timeout=SESSION_S, timeout=timeout, access=access)
    except StoreUnavailable:
        raise Problem(why_not(hosts, access.tls), NO_ZOOKEEPER) from None
    try:
        yield client
    finally:
        client.stop()
        client.close()


def why_not(hosts: str, tls: Tls | None = None) -> str:
    """Why no server of `hosts` serves, found by trying; and what to do."""
    silent = "accepts connections but does not answer as ZooKeeper"
    if tls is None:
        silent += " (if it is a port for TLS, name zookeeper.ca_file or WEIR_ZK_CA_FILE)"
    found = "; ".join(
        f"{address}: {error.strerror or error}" if error is not None else f"{address} {silent}"
        for address, error in try_servers(hosts, tls)
    )
    return (
        f"cannot reach ZooKeeper ({found}); name it with --zk HOST:PORT or WEIR_ZK, "
        "or start a local stack: weir local up"
    )


def try_servers(hosts: str, tls: Tls | None = None) -> Iterator[tuple[str, OSError | None]]:
    """Each server, and what stood against a connection with it."""
    for address in hosts.partition("/")[0].split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=1.0) as plain:
                if tls is not None:
                    tls.context().wrap_socket(plain, server_hostname=host.strip("[]")).close()
            yield address, None
        except OSError as error:
            yield address, error


def require_server(services: Services, hosts: str) -> None:
    """Wait a moment until a server accepts connections. Raises Problem: the address is wrong, or nothing runs there."""
    deadline = services.monotonic() + CONNECT_S
    while all(error is not None for _, error in try_servers(hosts)):
        if services.monotonic() >= deadline:
            raise Problem(why_not(hosts), NO_ZOOKEEPER)
        services.sleep(0.2)


def find_local() -> LocalAddresses | None:
    """The local stack of the default state directory, if it is up."""
    from integration.local import control
    from integration.local.config import Layout, default_state_dir, load_config
    from integration.local.flink_dist import ensure_flink
    from integration.local.stack import LocalStack

    state_dir = default_state_dir()
    if not (state_dir / "stack.json").exists():
        return None
    try:
        config = load_config(state_dir)
        if config is None or not control.alive(state_dir, timeout=1.0):
            return None
        layout = Layout(config)
        installed = [ensure_flink(version, cache=config.cache) for version in config.flink_versions]
        stack = LocalStack(config)
        plugins = {each.series: [str(path) for path in stack.flink_plugins(each.series)] for each in installed}
    except Exception:  # a broken local stack must not keep anybody from a real one
        return None
    flink = {
        each.series: {
            "version": each.version,
            "home": str(each.home),
            "python": str(each.python),
            "plugins": plugins[each.series],
        }
        for each in installed
    }
    return LocalAddresses(state_dir, layout.zk, layout.master_url, layout.storage.as_uri(), flink)


def find_master(master: str, settings: Mesos) -> str | None:
    """host:port of a Mesos master that can be asked."""
    from integration.mesos.detector import find_master as find

    quiet()
    return find(master, by_name=settings.by_name)


def sandbox_files(settings: Mesos) -> SandboxFiles:
    from integration.mesos.sandbox import SandboxFiles

    return SandboxFiles(tls=settings.tls_context())


@dataclass
class Services:
    """The object that every command gets."""

    zk: str | None = None
    root: str | None = None
    config: Path | None = None
    open_store: Callable[[str, str, ZooKeeper], AbstractContextManager[JobStore]] = open_zookeeper
    open_soon: Callable[[str, str, ZooKeeper], AbstractContextManager[JobStore]] = open_soon
    open_znodes: Callable[[str, ZooKeeper], AbstractContextManager[Znodes]] = open_znodes
    find_local: Callable[[], LocalAddresses | None] = find_local
    find_master: Callable[[str, Mesos], str | None] = find_master
    sandbox_files: Callable[[Mesos], SandboxFiles] = sandbox_files
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _settings: Config | None = field(default=None, init=False, repr=False)

    def settings(self) -> Config:
        """What the configuration file and the environment say; read once, as the file may be a pipe."""
        if self._settings is None:
            from reconciler.app import config

            self._settings = config.load_for_commands(self.config)
        return self._settings

    def hosts(self) -> str:
        """Where ZooKeeper is: said, or in the configuration, or that of a local stack, or the default."""
        if self.zk:
            return check_hosts(self.zk)
        if self.config is not None:
            return check_hosts(self.settings().zookeeper.hosts)
        local = self.find_local()
        if local is None:
            return DEFAULT_ZK
        note(f"using the local stack at {local.zk} ({local.state_dir})")
        return local.zk

    def path(self) -> str:
        return check_root(self.root or self.settings().zookeeper.root)

    def store(self) -> AbstractContextManager[JobStore]:
        root = self.path()
        return self.open_store(self.hosts(), root, self.settings().zookeeper)

    def znodes(self) -> AbstractContextManager[Znodes]:
        """The tree as it is."""
        return self.open_znodes(self.hosts(), self.settings().zookeeper)


def check_hosts(text: str) -> str:
    """Refuse what cannot be an address before anything waits for it."""
    servers, slash, chroot = text.partition("/")
    complete = []
    for server in servers.split(","):
        host, separator, port = server.strip().rpartition(":")
        if not separator:
            host, port = server.strip(), "2181"
        if "://" in text or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise Problem(f'--zk "{text}" is not an address; write HOST:PORT[,HOST:PORT...]', USAGE)
        complete.append(f"{host}:{port}")
    return ",".join(complete) + slash + chroot


def check_root(root: str) -> str:
    if not root.startswith("/") or root.endswith("/") or "//" in root:
        raise Problem(f'--root "{root}" is not a path; it starts with a slash and does not end with one', USAGE)
    return root


def note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


class Silence:
    """For what waits: that ZooKeeper does not answer is said once, until it has answered again."""

    def __init__(self) -> None:
        self._told = False

    def goes_on(self, error: StoreUnavailable) -> None:
        if not self._told:
            note(f"ZooKeeper does not answer: {error}; it is tried again")
        self._told = True

    def ended(self) -> None:
        self._told = False


config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration, TOML; read for [zookeeper] and [mesos].",
)


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that talks to ZooKeeper: takes --zk, --root and --config itself too, and gets `Services` first."""

    @click.option("--zk", metavar="HOSTS", help="ZooKeeper, as HOST:PORT[,HOST:PORT...].")
    @click.option("--root", metavar="PATH", help="Root of the installation.")
    @config_option
    @click.pass_obj
    @functools.wraps(command)
    def wrapped(services: Services, /, zk: str | None, root: str | None, config: Path | None, **options: Any) -> Any:
        said = replace(services, zk=zk or services.zk, root=root or services.root, config=config or services.config)
        return command(said, **options)

    return wrapped
