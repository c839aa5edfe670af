"""The operator's own configuration: a TOML file < environment < flags.

Everything has a default except where ZooKeeper and the Mesos master are, where durable storage is,
and which Flink distributions the agents have.
"""

from __future__ import annotations

import os
import socket
import ssl
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.model.uris import UriRefused, place_of
from state.access import Access, AccessError, Tls, check_tls, read_access

DEFAULT_ZK = "127.0.0.1:2181"
ENVIRONMENT = {
    "WEIR_ZK": ("zookeeper", "hosts"),
    "WEIR_ROOT": ("zookeeper", "root"),
    "WEIR_ZK_AUTH_FILE": ("zookeeper", "auth_file"),
    "WEIR_ZK_CA_FILE": ("zookeeper", "ca_file"),
    "WEIR_ZK_CERT_FILE": ("zookeeper", "cert_file"),
    "WEIR_ZK_KEY_FILE": ("zookeeper", "key_file"),
    "WEIR_ZK_TLS": ("zookeeper", "tls"),
    "WEIR_MASTER": ("mesos", "master"),
    "WEIR_MASTER_CA_FILE": ("mesos", "ca_file"),
    "WEIR_MASTER_CERT_FILE": ("mesos", "cert_file"),
    "WEIR_MASTER_KEY_FILE": ("mesos", "key_file"),
    "WEIR_MASTER_TLS": ("mesos", "tls"),
    "WEIR_STORAGE": ("storage", "uri"),
    "WEIR_REPLICA": ("replica", "name"),
    "WEIR_LOST_GRACE_S": ("jobs", "lost_grace_s"),
    "WEIR_LOG_FORMAT": ("log", "format"),
    "WEIR_LOG_LEVEL": ("log", "level"),
    "WEIR_API": ("api", "listen"),
}
"""Environment variables, each with the setting that it overrides."""


FLAGS = {
    ("zookeeper", "hosts"): "--zk",
    ("zookeeper", "root"): "--root",
    ("zookeeper", "session_timeout_s"): "--session-timeout",
    ("mesos", "master"): "--master",
    ("storage", "uri"): "--storage",
    ("flink", "distributions"): "--flink",
    ("replica", "name"): "--replica",
    ("api", "listen"): "--api",
    ("log", "format"): "--log-format",
    ("log", "level"): "--log-level",
}
"""Settings that have a flag of `weir run`."""
DEFAULT = "default"


class ConfigError(Exception):
    """Settings that cannot be used: which, why, and what to write instead; one line for each."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ZooKeeper(_Section):
    hosts: str = DEFAULT_ZK
    root: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")] = "/weir"
    session_timeout_s: Annotated[float, Field(ge=1.0, le=120.0)] = 10.0
    auth_file: str | None = None
    """Lines `digest USER:PASSWORD` or `sasl USER:PASSWORD`; the first is the owner of what Weir creates."""
    tls: bool = False
    """Also switched on by any of the files; without `ca_file` the system's certificates decide."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    acl_users: list[str] | None = None
    """Identities that may write desired state and requests, such as digest:USER:HASH. None: Weir sets no ACLs."""
    acl_readers: list[str] = ["world:anyone"]
    """Identities that may read everything, when Weir sets ACLs. Users may anyway."""

    def access(self) -> Access:
        """How to connect. Raises ConfigError; the messages hold no secret."""
        try:
            return read_access(self.auth_file, _tls_files(self), users=self.acl_users, readers=self.acl_readers)
        except AccessError as error:
            raise ConfigError(f"configuration: zookeeper: {error}") from None


class Mesos(_Section):
    master: str | None = None
    tls: bool = False
    """For the connections with masters; as for ZooKeeper."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True
    """With TLS: the certificate has to be for the name, or address, by which the master is reached."""
    framework_name: str = "weir"
    user: str | None = None
    roles: Annotated[list[str], Field(min_length=1)] = ["*"]
    """Roles whose offers the framework asks for; a job chooses one by `placement.role`."""
    gpus: bool = False
    """Ask for the offers of agents that have GPUs; Mesos gives them to no other framework."""
    principal: str | None = None
    secret_file: str | None = None
    maintenance_lead_s: Annotated[float, Field(ge=0)] = 600.0
    """So long before a maintenance window its agent takes nothing new, and what is there moves away."""
    handover_s: Annotated[float, Field(ge=1.0)] = 60.0
    """How long a leader looks for a master before it lets another replica try."""

    @property
    def by_name(self) -> bool:
        """Masters are reached by the names that they advertise, which their certificates are for."""
        return self.check_hostname and _tls_files(self) is not None

    def tls_context(self) -> ssl.SSLContext | None:
        """For connections with masters; None: plain HTTP. The files are read now. Raises ConfigError."""
        files = _tls_files(self)
        return None if files is None else _context("mesos", files, check_hostname=self.check_hostname)


def _tls_files(section: ZooKeeper | Mesos) -> Tls | None:
    """None: without TLS."""
    files = Tls(section.ca_file, section.cert_file, section.key_file)
    return files if section.tls or files != Tls() else None


def _context(section: str, files: Tls, *, check_hostname: bool) -> ssl.SSLContext:
    try:
        check_tls(files)
        return files.context(check_hostname=check_hostname)
    except (AccessError, OSError) as error:
        raise ConfigError(f"configuration: {section}: {error}") from None


class ObjectStore(_Section):
    """How an S3 store is reached. The files are on the agents; the operator's own credentials are boto3's business."""

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False
    access_key_file: str | None = None
    secret_key_file: str | None = None


class Storage(_Section):
    uri: str | None = None
    s3: ObjectStore | None = None


class Distribution(_Section):
    version: str | None = None
    home: str
    python: str | None = None
    java: str = "java"
    tarball: str | None = None
    """URI of an archive for the agents' fetcher; `home` is then the directory inside it."""
    image: str | None = None
    """Container image in which `home`, `python` and `java` are paths."""
    plugins: list[str] = []
    """Flink plugins beside those in `home`: JARs or directories on agents, or URIs of JARs for the fetcher."""
    configuration: dict[str, str] = {}
    """Defaults for the `flinkConfiguration` of jobs of this version, above those for every job."""


class FlinkRest(_Section):
    """TLS with the JobManagers of jobs that set `security.ssl.rest.enabled`."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True
    """The certificate has to be for the address of the agent that the JobManager runs on."""

    def tls_context(self) -> ssl.SSLContext:
        """The files are read now. Raises ConfigError."""
        files = Tls(self.ca_file, self.cert_file, self.key_file)
        return _context("flink.rest", files, check_hostname=self.check_hostname)


class Flink(_Section):
    distributions: dict[str, Distribution] = {}
    zookeeper_hosts: str | None = None
    """Where Flink finds the same ensemble; None: as Weir does. For Flink's own port when Weir uses one with TLS."""
    zookeeper_jaas_file: str | None = None
    """A JAAS file on every agent (section `Client`): who Flink is to ZooKeeper; then only it may touch its nodes."""
    zookeeper_root: str = "/flink"
    zookeeper_session_timeout_s: Annotated[float, Field(ge=1.0, le=120.0)] = 10.0
    metrics: bool = True
    """Every Flink process serves its own metrics for Prometheus, on one more offered port."""
    configuration: dict[str, str] = {}
    """Defaults for the `flinkConfiguration` of every job."""
    rest: FlinkRest = FlinkRest()


class Replica(_Section):
    name: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")


class Log(_Section):
    format: Annotated[str, Field(pattern="^(console|json)$")] = "console"
    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"


class Jobs(_Section):
    check_files: bool = True
    """Refuse a spec whose `file:` job is not there. Turn off where replicas see other paths than agents."""
    lost_grace_s: Annotated[float, Field(ge=0)] = 10.0
    """How long a task that Mesos calls unreachable is waited for before another attempt is launched beside it."""
    allowed_artefacts: list[str] | None = None
    """Places below which files of jobs have to be: URIs or absolute paths. None: anywhere."""
    allowed_savepoints: list[str] | None = None
    """The same for savepoints that people name; the operator's storage is always allowed."""
    max_task_cpus: float | None = None
    max_task_memory_mb: int | None = None

    def check(self) -> None:
        """Raises ConfigError for a place that could never be matched."""
        for name in ("allowed_artefacts", "allowed_savepoints"):
            for prefix in getattr(self, name) or ():
                try:
                    place_of(prefix)
                except UriRefused as refused:
                    raise ConfigError(f"configuration: jobs.{name}: {prefix} cannot be a place: {refused}") from None


class Limits(_Section):
    """How much of what runs is interrupted at once."""

    disruptions: Annotated[int, Field(ge=1)] = 50
    """Generations that are ended and tasks of running ones that are killed, within `interval_s`; the rest waits."""
    interval_s: Annotated[float, Field(gt=0)] = 60.0
    moves: Annotated[int, Field(ge=1)] = 2
    """So many jobs at once leave drained agents."""


class Api(_Section):
    listen: str = "127.0.0.1:8480"
    """HOST:PORT of HTTP, or "off". The default port gives way to a free one when it is taken."""
    advertise: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+$")] | None = None
    """URL at which other replicas and people reach it, when that is not what it listens on."""
    tokens_file: str | None = None
    """Tokens with their roles; without it nobody may act through the API."""
    anonymous_read: bool = True
    """False: reading needs a token too. Health endpoints stay open."""


class Config(_Section):
    """All settings of one replica."""

    zookeeper: ZooKeeper = ZooKeeper()
    mesos: Mesos = Mesos()
    storage: Storage = Storage()
    flink: Flink = Flink()
    replica: Replica = Replica()
    log: Log = Log()
    jobs: Jobs = Jobs()
    limits: Limits = Limits()
    api: Api = Api()
    retry: dict[str, dict[str, str]] = {}
    """By target (flink, mesos, zookeeper): `policy`, a plugin, and its settings."""
    notifications: dict[str, dict[str, str]] = {}
    """By notification plugin: its options. None by default; events are in ZooKeeper and in the log anyway."""


_SECTIONS = frozenset(Config.model_fields)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where each setting that was given comes from."""

    config: Config
    origins: Mapping[str, str]
    """By dotted path: a flag, a variable or a file. What is not in it is a default."""

    def origin(self, path: str) -> str:
        """Of one setting; of the section above it when that was given as a whole."""
        parts = path.split(".")
        paths = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((self.origins[each] for each in paths if each in self.origins), DEFAULT)


def load(path: Path | None, flags: Mapping[tuple[str, str], Any], environ: Mapping[str, str] = os.environ) -> Config:
    """The effective configuration. Raises ConfigError with the path of the setting."""
    return load_with_origins(path, flags, environ).config


def load_for_commands(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """How the commands reach ZooKeeper and a Mesos master; what only a replica reads may be wrong or missing.

    Without ACLs: a node that a user writes is not to have that user as its owner. Raises ConfigError.
    """
    loaded = load_with_origins(path, {}, environ, sections=("zookeeper", "mesos")).config
    return loaded.model_copy(update={"zookeeper": loaded.zookeeper.model_copy(update={"acl_users": None})})


def load_with_origins(
    path: Path | None,
    flags: Mapping[tuple[str, str], Any],
    environ: Mapping[str, str] = os.environ,
    names: Mapping[tuple[str, str], str] = FLAGS,
    sections: Collection[str] = _SECTIONS,
) -> Loaded:
    """The same, and where everything comes from; `names` are those of the flags. Only `sections` are read."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        # A section that does not exist is refused in any case: it may be a misspelt one.
        values = {key: value for key, value in _read(path).items() if key in sections or key not in _SECTIONS}
        origins = dict.fromkeys(_leaves(values), str(path))
    said = {variable: where for variable, where in ENVIRONMENT.items() if where[0] in sections}
    given = [(where, environ[variable], variable) for variable, where in said.items() if environ.get(variable)]
    given += [(where, value, names.get(where, "a flag")) for where, value in flags.items() if value is not None]
    for (section, key), value, origin in given:
        _section(values, section)[key] = value
        whole = f"{section}.{key}"
        origins = {each: said for each, said in origins.items() if not f"{each}.".startswith(f"{whole}.")}
        origins[whole] = origin
    try:
        return Loaded(Config.model_validate(values), origins)
    except ValidationError as error:
        from reconciler.app.config_messages import findings

        found = [(each, _origin(each.path, origins)) for each in findings(error.errors(), Config)]
        lines = [f"configuration: {each.sentence()}" + (f", from {origin}" if origin else "") for each, origin in found]
        raise ConfigError(*lines) from None


def _origin(path: str, origins: Mapping[str, str]) -> str | None:
    """Whatever gave the setting, or something in the section."""
    inner = [said for each, said in origins.items() if f"{each}.".startswith(f"{path}.") or path.startswith(f"{each}.")]
    return inner[0] if inner else None


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror}; name another with --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    section = values.setdefault(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"configuration: {name} is a table of settings, not {section!r:.80}")
    return section
