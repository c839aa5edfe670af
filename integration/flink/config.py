"""Flink configuration: what the operator decides, what it only suggests, and what users may set.

Three layers, the later wins: suggestions (`suggested`), the spec's `flinkConfiguration`, and what
the operator decides. The first two are written into `conf/config.yaml` of the sandbox, the last is
given as `-D` arguments, which Flink puts above the file (Flink docs, "Configuration").
A user's key that the operator decides is refused (`refused_keys`), never silently ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from integration.flink.versions import FlinkVersion, series_of
from reconciler.model import ids
from reconciler.model.flink_keys import REST_TLS, masked, refusal, rest_scheme
from reconciler.model.record import Generation, Record
from reconciler.model.spec import JobSpec

REPORTER = "weir"
"""Name of the metrics reporter that Weir configures."""
SECRET = re.compile(r"^\$\{secret:([^}]+)\}$")


@dataclass(frozen=True, slots=True)
class FlinkDistribution:
    """One Flink as the agents have it."""

    version: str
    """The full version, such as "2.2.1"."""
    home: str
    """Directory with lib, opt and plugins (and bin, if there are Python functions), the same on every agent."""
    python: str | None = None
    """Interpreter whose environment has the same version of PyFlink; needed by Python jobs."""
    java: str = "java"
    image: str | None = None
    """Container image that holds all of these paths, if tasks do not run on the agent's own file system."""
    tarball: str | None = None
    """URI of an archive that the agent's fetcher extracts into every sandbox; `home` is then a path inside it."""
    plugins: tuple[str, ...] = ()
    """Flink plugins beside those in `home`: each a JAR or a directory of JARs on the agents (a relative path is one
    below `home`), or a URI of a JAR for the fetcher."""
    configuration: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The operator's defaults for jobs of this version, above those for all jobs."""

    def __post_init__(self) -> None:
        for plugin in self.plugins:
            if re.search(r"[\x00-\x1f\x7f]", plugin) or plugin.rstrip("/") in ("", "."):
                raise ValueError(f"plugin {plugin!r} of Flink {self.version} is not a path and not a URI")
            if "://" in plugin and not plugin.endswith(".jar"):
                raise ValueError(f"plugin {plugin} of Flink {self.version} is fetched, so it has to be one .jar")
        if self.tarball is not None and self.home.startswith("/"):
            raise ValueError(
                f"home {self.home} of Flink {self.version} is absolute, but it is the directory inside the tarball "
                f'{self.tarball}; write it without the leading slash, such as "flink-{self.version}"'
            )
        if self.tarball is None and not self.home.startswith("/"):
            raise ValueError(f"home {self.home} of Flink {self.version} is relative; write where it is on every agent")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """An object store that speaks S3. Where the credentials are, never what they are.

    The files are on every agent; without them Flink's plugin looks for credentials itself, such as those of
    the instance. The operator's own are found by boto3 (environment, shared credentials file, instance).
    """

    endpoint: str | None = None
    """URL of the store; None: Amazon's of the region."""
    region: str | None = None
    path_style: bool = False
    """Buckets in the path of a URL instead of its host name, as most stores other than Amazon's want it."""
    access_key_file: str | None = None
    secret_key_file: str | None = None

    def __post_init__(self) -> None:
        if self.endpoint is not None and re.fullmatch(r"https?://[^/\s@]+/?", self.endpoint) is None:
            raise ValueError(f"endpoint {self.endpoint} is not a URL; write http://HOST:PORT or https://HOST")
        if (self.access_key_file is None) != (self.secret_key_file is None):
            raise ValueError("access_key_file and secret_key_file belong together; name both or neither")
        for name in (self.access_key_file, self.secret_key_file):
            if name is not None and (not name.startswith("/") or re.search(r"[\x00-\x1f\x7f]", name)):
                raise ValueError(f"{name} is not an absolute path; the file is read by tasks, on their agents")

    @property
    def configuration(self) -> dict[str, str]:
        """Keys of Flink's S3 plugins (Flink docs, "Amazon S3"), the same for both of them."""
        found = {"s3.path.style.access": "true"} if self.path_style else {}
        if self.endpoint is not None:
            found["s3.endpoint"] = self.endpoint
        if self.region is not None:
            found["s3.endpoint.region"] = self.region
        return found

    @property
    def secrets(self) -> dict[str, str]:
        """Keys whose values are the contents of files on the agents."""
        files = {"s3.access-key": self.access_key_file, "s3.secret-key": self.secret_key_file}
        return {key: file for key, file in files.items() if file is not None}


S3_KEY = re.compile(
    r"^(s3a?|presto\.s3|fs\.s3a?)\."
    r"(endpoint|endpoint\.region|path[.-]style[.-]access|access[.-]key|secret[.-]key|session\.token|aws\.credentials\.provider)$"
)
"""Where the object store is and who asks it: one answer for HA data, checkpoints and savepoints of all jobs.
A job that reads other buckets sets the keys of these alone (`fs.s3a.bucket.NAME....`)."""


@dataclass(frozen=True, slots=True)
class FlinkSettings:
    """The operator's own settings that every rendered process depends on."""

    distributions: Mapping[str, FlinkDistribution]
    """By minor version ("2.2")."""
    storage: str
    """URI of the durable directory that every agent reaches."""
    zookeeper: str
    """Connect string for Flink's HA services: host:port,host:port."""
    zookeeper_root: str = "/flink"
    zookeeper_session_timeout_s: float = 10.0
    """Bounds the time until a JobManager that died takes over or is replaced."""
    java_options: tuple[str, ...] = ()
    path: str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    kill_grace_s: float = 10.0
    metrics: bool = True
    """Every process serves its metrics in Prometheus' format, unless the job's `metrics.reporters` says otherwise."""
    configuration: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The operator's defaults for every job; the spec's `flinkConfiguration` is above them."""
    s3: S3Settings | None = None
    """The object store, when savepoints or all of storage may be on one."""
    zookeeper_jaas_file: str | None = None
    """A JAAS file on every agent, whose section `Client` is who Flink is to ZooKeeper; its nodes are then its own."""

    def __post_init__(self) -> None:
        if (
            self.zookeeper_jaas_file is not None
            and re.fullmatch(r"/[^\x00-\x1f\x7f]+", self.zookeeper_jaas_file) is None
        ):
            raise ValueError(f"zookeeper_jaas_file {self.zookeeper_jaas_file} is not an absolute path on the agents")
        self._check_defaults("configuration", self.configuration)
        for series, each in self.distributions.items():
            self._check_defaults(f"distributions.{series}.configuration", each.configuration)

    def _check_defaults(self, where: str, configuration: Mapping[str, str]) -> None:
        for key, why in refused_keys(configuration).items():
            raise ValueError(f"{where}.{key} cannot be set: {why}; leave it out")
        if REST_TLS in configuration:
            raise ValueError(
                f"{where}.{REST_TLS} cannot be set: a job says it; "
                "set it in the flinkConfiguration of jobs, and what they have in common here"
            )
        for key in self.refused_for_s3(configuration):
            raise ValueError(f"{where}.{key} cannot be set: it follows from storage.s3; leave it out")
        for key, value in configuration.items():
            if SECRET.match(value):
                raise ValueError(f"{where}.{key}: secrets are those of a job; name the secret in its spec")

    @property
    def ha_storage(self) -> str:
        return f"{self.storage.rstrip('/')}/ha"

    def refused_for_s3(self, configuration: Mapping[str, str]) -> list[str]:
        """Keys that would lead a job's state to where the operator does not look for it."""
        return [key for key in configuration if S3_KEY.match(key)] if self.s3 is not None else []

    def distribution(self, version: str) -> FlinkDistribution:
        """The one for a spec's `flinkVersion`; ValueError names those there are."""
        found = self.distributions.get(version) or self.distributions.get(series_of(version))
        if found is None or (version.count(".") > 1 and found.version != version):
            known = ", ".join(f"{key} ({value.version})" for key, value in sorted(self.distributions.items()))
            raise ValueError(f"no distribution of Flink {version} is configured; there are: {known or 'none'}")
        return found

    def defaults(self, version: str) -> dict[str, str]:
        """The operator's defaults for jobs of a `flinkVersion`, as they are configured now."""
        try:
            own = self.distribution(version).configuration
        except ValueError:
            own = {}
        return {**self.configuration, **own}

    def remembered_defaults(self, version: str) -> dict[str, str]:
        """Those that a generation keeps for its life; what may be a secret stays out of its record."""
        return {key: value for key, value in self.defaults(version).items() if not masked(key)}

    def in_force(self, generation: Generation) -> JobSpec:
        """The spec with the defaults of its generation in its `flinkConfiguration`."""
        now, kept = self.defaults(generation.spec.flink_version), generation.defaults
        if kept is not None:
            now = {**{key: value for key, value in now.items() if masked(key)}, **kept}
        return _above(now, generation.spec)

    def configured(self, spec: JobSpec) -> JobSpec:
        """The spec with the defaults of now: what a generation that begins now would run with."""
        return _above(self.defaults(spec.flink_version), spec)


def _above(defaults: Mapping[str, str], spec: JobSpec) -> JobSpec:
    return spec.model_copy(update={"flink_configuration": {**defaults, **spec.flink_configuration}})


def refused_keys(configuration: Mapping[str, str]) -> dict[str, str]:
    """Keys of a `flinkConfiguration` that the operator decides, each with the reason."""
    return {key: why for key in configuration if (why := refusal(key)) is not None}


def unknown_secrets(spec: JobSpec) -> dict[str, str]:
    """Configuration keys whose value names a secret that `secrets` does not have, with that name."""
    named = {key: match[1] for key, value in spec.flink_configuration.items() if (match := SECRET.match(value))}
    return {key: name for key, name in named.items() if name not in spec.secrets}


def suggested(name: str, version: FlinkVersion, python: str | None) -> dict[str, str]:
    """Defaults below the user's own configuration."""
    return {
        "pipeline.name": name,
        "jobmanager.scheduler": "adaptive",
        **version.scheduler,
        # A lost host is noticed in five seconds, not in fifty.
        "heartbeat.interval": "1000",
        "heartbeat.timeout": "5000",
        "restart-strategy.type": "exponential-delay",
        # REST answers about a job are cached for this long (milliseconds).
        "web.refresh-interval": "200",
        # So many checkpoints are in the plots of Weir's pages.
        "web.checkpoints.history": "40",
        # Ids of SQL operators otherwise change with the parallelism, and the state no longer maps.
        "table.exec.uid.generation": "ALWAYS",
        "high-availability.zookeeper.client.tolerate-suspended-connections": "true",
        **({"python.executable": python, "python.client.executable": python} if python else {}),
    }


def rest_ciphers(configuration: Mapping[str, str]) -> dict[str, str]:
    """Suggested where the REST interface has TLS.

    What Flink 1.20 allows by itself, no client of today does; what 2.x allows, no certificate with an EC key does
    (Flink docs, "SSL Setup", security.ssl.algorithms).
    """
    modern = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384")
    suites = ",".join(f"TLS_ECDHE_{key}_WITH_{cipher}" for key in ("RSA", "ECDSA") for cipher in modern)
    return {"security.ssl.algorithms": suites} if rest_scheme(configuration) == "https" else {}


def high_availability(settings: FlinkSettings, cluster_id: str) -> dict[str, str]:
    """HA keys of both roles (Flink docs, "ZooKeeper HA Services")."""
    return {
        "high-availability.type": "zookeeper",
        "high-availability.cluster-id": cluster_id,
        "high-availability.storageDir": settings.ha_storage,
        "high-availability.zookeeper.quorum": settings.zookeeper,
        "high-availability.zookeeper.path.root": settings.zookeeper_root,
    }


def job_configuration(settings: FlinkSettings, record: Record, generation: Generation) -> dict[str, str]:
    """Keys of the job itself that the operator decides."""
    spec = generation.spec
    return {
        "parallelism.default": str(spec.job.parallelism),
        **_snapshots(settings, record, generation),
        # What keeps a JobManager of an ended generation from running its job again (fault 61).
        "job-result-store.delete-on-commit": "false",
        "execution.shutdown-on-application-finish": "false",
        "execution.submit-failed-job-on-application-error": "true",
        "rest.async.store-duration": "1 d",
        "web.submit.enable": "false",
    }


def exports_metrics(settings: FlinkSettings, spec: JobSpec) -> bool:
    """False when the operator switched metrics off, or reporters are listed without Weir's. Defaults are in `spec`."""
    listed = spec.flink_configuration.get("metrics.reporters")
    return settings.metrics and (listed is None or REPORTER in (name.strip() for name in re.split("[,;]", listed)))


def metrics_reporter(port: str) -> dict[str, str]:
    """Flink's own Prometheus reporter on an offered port (Flink docs, "Metric Reporters").

    The rest of `metrics.reporter.weir.*`, such as its filters, is the user's.
    """
    return {
        f"metrics.reporter.{REPORTER}.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        f"metrics.reporter.{REPORTER}.port": port,
    }


def session_configuration(settings: FlinkSettings, record: Record, generation: Generation) -> dict[str, str]:
    """Keys of a session's JobManager that the operator decides, and what its jobs fall back to."""
    return {
        **_snapshots(settings, record, generation),
        # A job id that was accepted once is refused for as long as the generation lives.
        "job-result-store.delete-on-commit": "false",
        "rest.async.store-duration": "1 d",
        "web.submit.enable": "true",
    }


def submitted_configuration(settings: FlinkSettings, record: Record, generation: Generation) -> dict[str, str]:
    """The whole configuration of a session job; what it does not say is the session's."""
    return {
        "pipeline.name": record.name,
        "table.exec.uid.generation": "ALWAYS",
        **generation.spec.flink_configuration,
        **_snapshots(settings, record, generation),
    }


def _snapshots(settings: FlinkSettings, record: Record, generation: Generation) -> dict[str, str]:
    """Where the state of one generation of a job goes, and how it is restored."""
    savepoints = generation.spec.snapshots.savepoint_dir or f"{settings.storage.rstrip('/')}/savepoints"
    return {
        "execution.checkpointing.dir": ids.checkpoint_dir(settings.storage, record.uid, generation.number),
        "execution.checkpointing.savepoint-dir": f"{savepoints.rstrip('/')}/{record.uid}/{generation.number}",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.state-recovery.claim-mode": "NO_CLAIM",
    }


def zookeeper_access(settings: FlinkSettings) -> dict[str, str]:
    """Who may touch Flink's own nodes (Flink docs, "Configuration", "High Availability"): their creator or anybody."""
    return {"high-availability.zookeeper.client.acl": "creator"} if settings.zookeeper_jaas_file is not None else {}


def session_timeout(settings: FlinkSettings) -> dict[str, str]:
    """Suggested, like the rest of the client's time-outs."""
    milliseconds = int(settings.zookeeper_session_timeout_s * 1000)
    return {
        "high-availability.zookeeper.client.session-timeout": str(milliseconds),
        "high-availability.zookeeper.client.connection-timeout": str(milliseconds),
    }


def split_secrets(configuration: Mapping[str, str], secrets: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Configuration without its secrets, and lines of "key path" which the start script resolves.

    A value of `${secret:NAME}` becomes the content of that secret's file when the process starts:
    it is in no znode, no argument and no environment variable.
    """
    plain, lines = {}, []
    for key, value in configuration.items():
        match = SECRET.match(value)
        if match is None:
            plain[key] = value
        elif match[1] in secrets:
            lines.append(f"{key} {secrets[match[1]]}\n")
        else:
            raise ValueError(f'flinkConfiguration {key}: there is no "{match[1]}" in secrets')
    return plain, "".join(lines)


def to_yaml(configuration: Mapping[str, str]) -> str:
    """`config.yaml` with one flat, quoted entry per line (a JSON string is a YAML scalar)."""
    return "".join(f"{json.dumps(key)}: {json.dumps(value)}\n" for key, value in sorted(configuration.items()))


def to_arguments(configuration: Mapping[str, str]) -> tuple[str, ...]:
    """The same as `-D` arguments, which win over the file."""
    return tuple(part for key, value in sorted(configuration.items()) for part in ("-D", f"{key}={value}"))
