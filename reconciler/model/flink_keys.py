"""Keys of `flinkConfiguration` that the operator decides itself, each with the reason.

Setting one of them would break what keeps generations apart (S1), what finds the newest state (S2),
or simply contradict another field of the spec. Everything else is the user's. Names are those of
the Flink docs, "Configuration", for 1.20 to 2.3, with the deprecated ones that are still read.
"""

from __future__ import annotations

from collections.abc import Mapping

_IDENTITY = "the operator derives it for every generation, so that no two share state"
_PLACED = "it follows from where Mesos places the task"
_RESTORE = "the operator chooses the restore point; see job.initialSavepointPath"
_RESULTS = "a job's result has to outlive its JobManager, or an old JobManager could run the job again"
_STARTED = "Weir starts the JVM itself; use env.java.opts.all, .jobmanager or .taskmanager"
_ELSEWHERE = "this is Mesos; the option would have no effect"

OPERATOR_KEYS: Mapping[str, str] = {
    "high-availability": _IDENTITY,
    "high-availability.type": _IDENTITY,
    "high-availability.cluster-id": _IDENTITY,
    "high-availability.storageDir": _IDENTITY,
    "high-availability.zookeeper.quorum": "the operator's configuration names the ensemble",
    "high-availability.jobmanager.port": _PLACED,
    "execution.checkpointing.dir": _IDENTITY,
    "state.checkpoints.dir": _IDENTITY,
    "execution.checkpointing.savepoint-dir": "it is snapshots.savepointDir of the spec",
    "state.savepoints.dir": "it is snapshots.savepointDir of the spec",
    "execution.checkpointing.externalized-checkpoint-retention": "the last checkpoint is what a restart starts from",
    "execution.savepoint-restore-mode": _RESTORE,
    "execution.shutdown-on-application-finish": _RESULTS,
    "execution.submit-failed-job-on-application-error": _RESULTS,
    "execution.target": "Weir runs every job in application mode",
    "rest.address": _PLACED,
    "rest.port": _PLACED,
    "rest.bind-address": _PLACED,
    "rest.bind-port": _PLACED,
    "rest.async.store-duration": "the operator asks for results of savepoints after an outage of its own",
    "web.port": _PLACED,
    "web.submit.enable": "the JobManager runs the one job of its generation",
    "jobmanager.bind-host": _PLACED,
    "jobmanager.web.port": _PLACED,
    "jobmanager.heap.size": "it follows from jobManager.memory of the spec",
    "jobmanager.memory.process.size": "it is jobManager.memory of the spec",
    "jobmanager.memory.flink.size": "it follows from jobManager.memory of the spec",
    "blob.server.port": _PLACED,
    "metrics.reporter.weir.factory.class": "it is Flink's Prometheus reporter; metrics.reporters: none switches it off",
    "metrics.reporter.weir.port": _PLACED,
    "metrics.internal.query-service.port": _PLACED,
    "taskmanager.host": _PLACED,
    "taskmanager.bind-host": _PLACED,
    "taskmanager.data.port": _PLACED,
    "taskmanager.data.bind-port": _PLACED,
    "taskmanager.resource-id": "it is the Mesos task id, by which tasks and TaskManagers are matched",
    "taskmanager.numberOfTaskSlots": "it is taskManager.slots of the spec",
    "taskmanager.cpu.cores": "it is taskManager.cpus of the spec",
    "taskmanager.heap.size": "it follows from taskManager.memory of the spec",
    "taskmanager.memory.process.size": "it is taskManager.memory of the spec",
    "taskmanager.memory.flink.size": "it follows from taskManager.memory of the spec",
    "parallelism.default": "it is job.parallelism of the spec",
    "io.tmp.dirs": "temporary files belong into the sandbox, which Mesos cleans up",
    "env.java.home": _STARTED,
    "security.ssl.enabled": "it means two things; write security.ssl.rest.enabled and security.ssl.internal.enabled",
}

OPERATOR_PREFIXES: Mapping[str, str] = {
    "high-availability.zookeeper.path.": _IDENTITY,
    "execution.state-recovery.": _RESTORE,
    "execution.savepoint.": _RESTORE,
    "job-result-store.": _RESULTS,
    "application-result-store.": _RESULTS,
    "jobmanager.rpc.": _PLACED,
    "taskmanager.rpc.": _PLACED,
    "$internal.": "Flink keeps it for itself",
    "env.log.": _STARTED,
    "env.pid.": _STARTED,
    "kubernetes.": _ELSEWHERE,
    "yarn.": _ELSEWHERE,
}


MASKED_WORDS = (
    "password", "secret", "fs.azure.account.key", "apikey", "auth-params", "service-key", "token", "basic-auth",
    "jaas.config", "http-headers",
)  # fmt: skip
"""Flink keeps the values of keys that hold one of these from its log and its REST interface
(`GlobalConfiguration.SENSITIVE_KEYS` of 1.20, 2.2 and 2.3), and prints every other."""

UNMASKED_SECRETS = frozenset({"s3.access-key", "s3.access.key", "fs.s3a.access.key", "presto.s3.access-key"})
"""Names of accounts rather than secrets; they come with a secret key, and may be in a file like it."""


REST_TLS = "security.ssl.rest.enabled"
"""The one key of these that says how Weir itself reaches a JobManager; it belongs to a generation."""
REST_FILES = ("keystore", "keystore-password", "key-password")
"""Without these (`security.ssl.rest.…` or `security.ssl.…`) no JobManager with TLS starts (`SSLUtils` of Flink)."""


def rest_scheme(configuration: Mapping[str, str]) -> str:
    """Of the REST interface of a JobManager with this configuration."""
    return "https" if configuration.get(REST_TLS, "").strip().lower() == "true" else "http"


def missing_for_rest_tls(configuration: Mapping[str, str]) -> tuple[str, ...]:
    """Keys that the JobManager would not start without."""
    if rest_scheme(configuration) == "http":
        return ()
    keys = ((f"security.ssl.rest.{name}", f"security.ssl.{name}") for name in REST_FILES)
    return tuple(own for own, shared in keys if own not in configuration and shared not in configuration)


def masked(key: str) -> bool:
    """Whether a secret may be the value of `key`: Flink does not show it, or it says who and not by what."""
    return key in UNMASKED_SECRETS or any(word in key.lower() for word in MASKED_WORDS)


def refusal(key: str) -> str | None:
    """Why `key` cannot be set by a user, or None when it can."""
    if key in OPERATOR_KEYS:
        return OPERATOR_KEYS[key]
    return next((why for prefix, why in OPERATOR_PREFIXES.items() if key.startswith(prefix)), None)
