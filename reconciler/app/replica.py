"""`weir run`: one replica, wired together.

KazooClient ─┬─ ZooKeeperElection ── contend ─ per epoch ─┬─ Loop
             └─ ZooKeeperStore ───────────────────────────┤
MasterDetector ─ MesosCluster ────────────────────────────┤
FlinkAdapter, FlinkRenderer, plugins ─────────────────────┤
ApiServer (own thread) ──── reads ──── Monitor ───────────┘
"""

from __future__ import annotations

import getpass
import queue
import socket
from dataclasses import dataclass
from importlib.metadata import version
from os import getpid
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from kazoo.client import KazooClient

from integration.flink.adapter import FlinkAdapter
from integration.flink.config import FlinkDistribution, FlinkSettings, S3Settings
from integration.flink.render import FlinkRenderer
from integration.flink.rest import RestClient
from integration.flink.storage import S3_SCHEMES, StorageError, Storages, require_supported
from integration.mesos.agents import Agents
from integration.mesos.config import MesosConfig
from integration.mesos.detector import detector_for, shown
from integration.mesos.driver import MesosCluster
from integration.mesos.errors import MasterAddressError
from integration.mesos.inventory import Inventory
from integration.mesos.sandbox import SandboxFiles
from integration.mesos.tls import scheme
from plugins import notify, registry, retries
from reconciler.app.admission import Admission, job_files, memory, resources, sql_script
from reconciler.app.api.server import OFF, ApiServer
from reconciler.app.api.tokens import Tokens
from reconciler.app.config import Config, ConfigError, Mesos, Storage
from reconciler.app.monitoring.measured import measured_cluster, measured_flink, measured_store
from reconciler.app.monitoring.monitor import Monitor
from reconciler.app.runner import LeaderClock, ThreadRunner, collect_rarely
from reconciler.leadership import contend, drive
from reconciler.loop import Loop
from reconciler.model.events import Event
from reconciler.model.policy import Policy
from reconciler.model.retry import Failure
from reconciler.model.spec_parse import SpecLimits
from reconciler.model.status import LeaderInfo
from reconciler.parts import Parts
from reconciler.ports import Lease, StoreError
from reconciler.report import timestamp
from state.access import Access
from state.client import REFUSED, connect, credentials_refused
from state.election import ZooKeeperElection
from state.zookeeper import ZooKeeperStore

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger("weir.replica")


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration that has everything that leading needs."""

    config: Config
    master: str
    storage: str
    flink: FlinkSettings
    access: Access


def check(config: Config) -> Checked:
    """Refuse to start with what would only fail later. Raises ConfigError."""
    if config.mesos.master is None:
        raise ConfigError("no Mesos master is configured; set --master zk://HOST:PORT/mesos (or WEIR_MASTER)")
    if config.storage.uri is None:
        raise ConfigError(
            "no durable storage is configured: checkpoints and savepoints need a directory that every agent reaches; "
            "set --storage file:///shared/weir (or WEIR_STORAGE)"
        )
    config.jobs.check()
    _check_master(config.mesos)
    s3 = _object_store(config.storage)
    config.flink.rest.tls_context()
    if not config.flink.distributions:
        raise ConfigError("no Flink distribution is configured; set --flink 2.2=/path/to/flink,python=/path/to/python")
    try:
        distributions = {
            series: FlinkDistribution(
                item.version or series,
                item.home,
                item.python,
                item.java,
                item.image,
                item.tarball,
                tuple(item.plugins),
                item.configuration,
            )
            for series, item in config.flink.distributions.items()
        }
        settings = FlinkSettings(
            distributions,
            config.storage.uri,
            config.flink.zookeeper_hosts or config.zookeeper.hosts,
            config.flink.zookeeper_root,
            config.flink.zookeeper_session_timeout_s,
            metrics=config.flink.metrics,
            configuration=config.flink.configuration,
            s3=s3,
            zookeeper_jaas_file=config.flink.zookeeper_jaas_file,
        )
    except ValueError as error:
        raise ConfigError(
            f"configuration: flink.{error}"
            if str(error).startswith(("configuration.", "distributions."))
            else f"configuration: flink: {error}"
        ) from None
    for series, item in distributions.items():
        if item.version != series and not item.version.startswith(f"{series}."):
            raise ConfigError(
                f'flink {series}: its full version is "{item.version}", which is not a {series}; '
                f"correct version=, or name it {'.'.join(item.version.split('.')[:2])}"
            )
    return Checked(config, config.mesos.master, config.storage.uri, settings, config.zookeeper.access())


def _check_master(mesos: Mesos) -> None:
    """The address and what it is reached with. Raises ConfigError, never with the secret."""
    try:
        detector_for(mesos.master or "")
    except MasterAddressError as error:
        raise ConfigError(f"configuration: mesos.master: {error}") from None
    if mesos.secret_file is not None and mesos.principal is None:
        raise ConfigError("configuration: mesos.secret_file without mesos.principal: the master asks for both")
    _read_secret(mesos)
    mesos.tls_context()


def _read_secret(mesos: Mesos) -> str | None:
    """Read anew for each leader, so that a changed file counts from then on."""
    if mesos.secret_file is None:
        return None
    path = Path(mesos.secret_file)
    try:
        mode, secret = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"configuration: mesos.secret_file {path} cannot be read: {why}") from None
    if mode & 0o007:
        raise ConfigError(f"configuration: mesos.secret_file {path} is open to every user; run: chmod o-rwx {path}")
    if not secret:
        raise ConfigError(f"configuration: mesos.secret_file {path} is empty")
    return secret


def _object_store(storage: Storage) -> S3Settings | None:
    """What [storage.s3] says, or its defaults when storage is on S3. Raises ConfigError for what is no storage."""
    uri, said = storage.uri or "", storage.s3
    if "://" not in uri:
        raise ConfigError(f"storage {uri} is not a URI; write file://{uri} for a directory, or s3://bucket/prefix")
    on_s3 = urlsplit(uri).scheme in S3_SCHEMES
    try:
        require_supported(uri, s3=True)
        s3 = S3Settings(**said.model_dump()) if said is not None else S3Settings()
    except StorageError as error:
        raise ConfigError(f"storage {error}") from None
    except ValueError as error:
        raise ConfigError(f"configuration: storage.s3: {error}") from None
    return s3 if on_s3 or said is not None else None


def _places(prefixes: list[str] | None) -> tuple[str, ...] | None:
    return None if prefixes is None else tuple(prefixes)


def _storages(s3: S3Settings | None) -> Storages:
    if s3 is None:
        return Storages()
    from integration.flink.s3 import S3Storage  # boto3 is large, and most installations have a directory

    return Storages(S3Storage(s3))


class Replica:
    """One process of the operator: contends, and leads when elected."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._config = checked.config
        self.stop_requested = Flag()
        zookeeper = self._config.zookeeper
        self._client: KazooClient = connect(
            zookeeper.hosts, session_timeout=zookeeper.session_timeout_s, access=checked.access
        )
        self._store = ZooKeeperStore(self._client, zookeeper.root, protection=checked.access.protection)
        self._election = ZooKeeperElection(self._client, zookeeper.root, zookeeper.session_timeout_s)
        self._flink = FlinkAdapter(
            self._client,
            checked.storage,
            zookeeper_root=self._config.flink.zookeeper_root,
            rest=RestClient(tls=self._config.flink.rest.tls_context()),
            storages=_storages(checked.flink.s3),
        )
        self._renderer = FlinkRenderer(checked.flink)
        self._restart = registry.load(registry.RESTART)
        self._placement = registry.load(registry.PLACEMENT)
        self._monitor = Monitor()
        try:
            self._retries = retries.build(self._config.retry)
            self._notifier = notify.build(self._config.notifications)
        except registry.PluginError as error:
            raise ConfigError(f"configuration: {error}") from None
        settings = self._config.api
        self._api = ApiServer(settings, self._application) if settings.listen != OFF else None
        self._tokens = Tokens(settings.tokens_file, anonymous_read=settings.anonymous_read)

    def run(self) -> None:
        """Until `stop` is called. Raises Halted when a person is needed, StoreError when ZooKeeper refuses us."""
        collect_rarely()
        self._store.ensure_layout()
        info = LeaderInfo(
            replica=self._config.replica.name,
            host=socket.gethostname(),
            pid=getpid(),
            version=version("weir"),
            api=self._api.url if self._api is not None else None,
            master=shown(self._checked.master),
        )
        log.info("replica.started", replica=info.replica, zk=self._config.zookeeper.hosts, api=info.api)
        if self._api is not None:
            self._api.start()
        self._client.add_listener(self._on_state)
        try:
            contend(self._election, info, self._lead, self.stop_requested, self.stop_requested.wait)
        finally:
            self._election.stop()
            if self._api is not None:
                self._api.stop()
            self._notifier.close()
            refused = credentials_refused(self._client)
            self._client.stop()
            self._client.close()
        if refused:
            raise StoreError(REFUSED)

    def _on_state(self, _state: str) -> None:
        """Credentials that were changed under us: kazoo gives up for good, so a new process has to read the file."""
        if credentials_refused(self._client):
            self.stop()

    def stop(self) -> None:
        """Leave in an orderly way: the lease is handed over at once."""
        self.stop_requested.set()
        self._election.stop()

    def _lead(self, lease: Lease) -> None:
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        runner = ThreadRunner(events.put)
        clock = LeaderClock()
        mesos = self._mesos_config()
        detector = detector_for(self._checked.master, by_name=self._config.mesos.by_name)
        cluster = MesosCluster(mesos, detector, lease.may_act)
        agents = Agents(cluster.master, tls=mesos.tls)
        loop = Loop(self._parts(cluster, agents, runner, clock), lease, events.put)
        self._monitor.begin(lease.fence.epoch, cluster.master)
        structlog.contextvars.bind_contextvars(epoch=lease.fence.epoch)
        try:
            self._store.watch(events.put)
            drive(loop, events, clock, self.stop_requested, self._monitor)
        finally:
            self._monitor.end()
            structlog.contextvars.unbind_contextvars("epoch")
            self._store.unwatch()
            cluster.stop()
            runner.stop()
            log.info("leader.stopped", why=loop.stopped or "the replica stops", at=timestamp(clock.now()))

    def _parts(self, cluster: MesosCluster, agents: Agents, runner: ThreadRunner, clock: LeaderClock) -> Parts:
        jobs = self._config.jobs
        limits = SpecLimits(
            flink_versions=frozenset(self._checked.flink.distributions),
            restart_strategies=frozenset(self._restart),
            placement_strategies=frozenset(self._placement),
            roles=frozenset(self._config.mesos.roles),
            gpus=self._config.mesos.gpus,
            artefacts=_places(jobs.allowed_artefacts),
            state=self._state_places(),
            max_task_cpus=jobs.max_task_cpus,
            max_task_mem=jobs.max_task_memory_mb,
        )
        checks = [memory(self._renderer.check), resources(agents.largest)]
        checks += [job_files, sql_script] if jobs.check_files else []
        policy = Policy(
            storage=self._checked.storage,
            restart_strategies=self._restart,
            retries=self._retries,
            lost_grace_s=jobs.lost_grace_s,
            disruptions=self._config.limits.disruptions,
            maintenance_lead_s=self._config.mesos.maintenance_lead_s,
            moves=self._config.limits.moves,
            disruption_interval_s=self._config.limits.interval_s,
            flink_defaults=self._checked.flink.remembered_defaults,
        )
        admission = Admission(limits, checks)
        instruments = self._monitor.instruments
        return Parts(
            store=measured_store(self._store, instruments),
            cluster=measured_cluster(cluster, instruments, self._monitor),
            flink=measured_flink(self._flink, instruments),
            renderer=self._renderer,
            runner=runner,
            clock=clock,
            policy=policy,
            parse=admission.parse,
            placement=self._placement,
            notify=self._notifier,
            observer=self._monitor,
            handover_s=self._config.mesos.handover_s,
        )

    def _state_places(self) -> tuple[str, ...] | None:
        places = _places(self._config.jobs.allowed_savepoints)
        return None if places is None else (self._checked.storage, *places)

    def _application(self) -> FastAPI:
        """Built on the API's own thread: importing the web framework takes a moment."""
        from reconciler.app.api import application
        from reconciler.app.api.checkpoints import CheckpointReader
        from reconciler.app.api.context import Context

        tls = self._config.mesos.tls_context()
        return application.build(
            Context(
                replica=self._config.replica.name,
                host=socket.gethostname(),
                monitor=self._monitor,
                reads=self._store,
                zookeeper_connected=lambda: bool(self._client.connected),
                agents=Inventory(tls=tls).agents,
                logs=SandboxFiles(tls=tls).end,
                master_scheme=scheme(tls),
                exports_metrics=self._renderer.exports_metrics,
            ),
            self._tokens,
            self._store,
            checkpoints=CheckpointReader(tls=self._config.flink.rest.tls_context()),
            secure=(self._config.api.advertise or "").startswith("https:"),
        )

    def _resubscribe_after(self, failures: int, seed: str) -> float | None:
        return self._retries.delay(Failure("mesos", "subscribe", failures, seed))

    def _mesos_config(self) -> MesosConfig:
        mesos = self._config.mesos
        return MesosConfig(
            user=mesos.user or getpass.getuser(),
            name=mesos.framework_name,
            roles=tuple(mesos.roles),
            gpus=mesos.gpus,
            resubscribe_after=self._resubscribe_after,
            principal=mesos.principal,
            secret=_read_secret(mesos),
            tls=mesos.tls_context(),
        )
