"""TaskInfo of JobManagers and TaskManagers: `ports.Renderer`. Pure, it reads nothing.

The JVM is started directly, by a constant shell script that makes `conf/` in the sandbox from
environment variables and then becomes the JVM (`exec`), so that SIGTERM reaches it. No text of a
user is ever part of a script: it travels as arguments and environment.
"""

from __future__ import annotations

import ipaddress
import math
import shlex
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from integration.flink import config, memory
from integration.flink.config import FlinkDistribution, FlinkSettings
from integration.flink.program import Program, program_of
from integration.flink.storage import StorageError, require_supported
from integration.flink.versions import flink_version
from reconciler.model.flink_keys import REST_TLS, missing_for_rest_tls
from reconciler.model.record import Generation, Record, Role, Task
from reconciler.model.resources import PORTS, FetchUri, TaskInfo
from reconciler.model.spec import JobManager, JobSpec, TaskManager
from reconciler.ports import JobSubmission

JOB_MANAGER_CLASS = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"
SESSION_CLASS = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER_CLASS = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

START = r"""set -eu
cd "${MESOS_SANDBOX:-.}"
sandbox=$(pwd)
umask 077
mkdir -p conf tmp
printf '%s' "$WEIR_LOG4J" > conf/log4j-console.properties
{
  printf '%s' "$WEIR_CONFIG"
  printf '"io.tmp.dirs": "%s/tmp"\n"user.artifacts.base-dir": "%s/artifacts"\n' "$sandbox" "$sandbox"
} > conf/config.yaml
printf '%s' "${WEIR_SECRETS:-}" | while read -r key path; do
  [ -r "$path" ] || { echo "weir: the file $path of the secret for $key cannot be read" >&2; exit 78; }
  printf '"%s": "%s"\n' "$key" "$(sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' "$path")" >> conf/config.yaml
done
umask 022
[ -z "${WEIR_PROGRAM:-}" ] || printf '%s' "$WEIR_PROGRAM" > weir_program.py
case ${FLINK_HOME:-/} in
  /*) ;;
  *) export FLINK_HOME="$sandbox/$FLINK_HOME" FLINK_LIB_DIR="$sandbox/$FLINK_LIB_DIR" \
       FLINK_OPT_DIR="$sandbox/$FLINK_OPT_DIR" FLINK_PLUGINS_DIR="$sandbox/$FLINK_PLUGINS_DIR" ;;
esac
if [ -n "${WEIR_PLUGINS:-}" ]; then
  mkdir -p plugins
  for each in "$FLINK_PLUGINS_DIR"/*/; do
    [ ! -d "$each" ] || ln -s "${each%/}" plugins/
  done
  printf '%s' "$WEIR_PLUGINS" | while read -r each; do
    case $each in
      /*) ;;
      ./*) each="$sandbox/$each" ;;
      *) each="$FLINK_HOME/$each" ;;
    esac
    [ -r "$each" ] || { echo "weir: the Flink plugin $each cannot be read" >&2; exit 78; }
    name=${each%/}
    name=${name##*/}
    rm -rf "plugins/${name%.jar}"
    [ -d "$each" ] || { mkdir "plugins/${name%.jar}"; name="${name%.jar}/"; }
    ln -s "${each%/}" "plugins/$name"
  done
  export FLINK_PLUGINS_DIR="$sandbox/plugins"
fi
if [ -n "${WEIR_GATE:-}" ]; then
  mkdir -p gate/dev/weir
  printf '%s' "$WEIR_GATE" | base64 -d > gate/dev/weir/Gate.class
  [ -z "${WEIR_GATE_PROGRAM:-}" ] || printf '%s' "$WEIR_GATE_PROGRAM" > weir_gate.py
fi
unset WEIR_GATE WEIR_GATE_PROGRAM WEIR_LOG4J WEIR_CONFIG WEIR_SECRETS WEIR_PROGRAM WEIR_PLUGINS
export FLINK_CONF_DIR="$sandbox/conf"
java=$1
shift
exec "$java" -Dlog.file="$sandbox/stdout" -Djava.io.tmpdir="$sandbox/tmp" "$@"
"""

LOG4J = """monitorInterval = 30
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
logger.pekko.name = org.apache.pekko
logger.pekko.level = INFO
logger.zookeeper.name = org.apache.flink.shaded.zookeeper3
logger.zookeeper.level = WARN
logger.curator.name = org.apache.flink.shaded.curator5
logger.curator.level = WARN
logger.netty.name = org.jboss.netty.channel.DefaultChannelPipeline
logger.netty.level = OFF
"""

_EXPORTS = (
    "java.rmi/sun.rmi.registry",
    "jdk.compiler/com.sun.tools.javac.api",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.compiler/com.sun.tools.javac.parser",
    "jdk.compiler/com.sun.tools.javac.tree",
    "jdk.compiler/com.sun.tools.javac.util",
    "java.security.jgss/sun.security.krb5",
)
_OPENS = (
    "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks",
)  # fmt: skip
MODULE_OPTIONS = (
    *(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTS),
    *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENS),
)
"""`env.java.opts.all` of Flink's own config.yaml: what it needs on Java 17."""

_SMALL_HEAP = 1 << 30
_ROLE_NAMES = {Role.JOB_MANAGER: "jobmanager", Role.TASK_MANAGER: "taskmanager"}


class FlinkRenderer:
    """Renders tasks for the distributions of `settings`.

    `render` raises ValueError when a spec cannot be rendered; `check` says so before it is accepted.
    """

    def __init__(self, settings: FlinkSettings) -> None:
        self._settings = settings

    def check(self, spec: JobSpec) -> None:
        """Refuse, with a ValueError that names the field, a spec that `render` could not render."""
        for key, why in config.refused_keys(spec.flink_configuration).items():
            raise ValueError(f"flinkConfiguration {key} cannot be set: {why}")
        for key in self._settings.refused_for_s3(spec.flink_configuration):
            raise ValueError(
                f"flinkConfiguration {key} cannot be set: the operator's storage is found with its own; "
                "fs.s3a.bucket.NAME.… sets it for other buckets"
            )
        for key, name in config.unknown_secrets(spec).items():
            raise ValueError(f'flinkConfiguration {key}: there is no "{name}" in secrets')
        for field, uri in (
            ("snapshots.savepointDir", spec.snapshots.savepoint_dir),
            ("job.initialSavepointPath", spec.job.initial_savepoint_path),
        ):
            try:
                require_supported(uri or "/", s3=self._settings.s3 is not None)
            except StorageError as error:
                raise ValueError(f"{field}: {error}") from None
        if spec.in_session:
            return  # all else is its session's
        distribution = self._settings.distribution(spec.flink_version)
        spec = self._settings.configured(spec)
        for key in missing_for_rest_tls(spec.flink_configuration):
            raise ValueError(
                f"flinkConfiguration {REST_TLS} needs {key} too: a keystore on every agent, passwords as secrets"
            )
        flink_version(spec.flink_version)
        memory.check_memory(spec)
        _user_options(spec, Role.JOB_MANAGER)
        program_of(spec, distribution)

    def render(self, record: Record, generation: Generation, task: Task) -> TaskInfo:
        """The task as Mesos launches it. It has to be placed: its agent, address and ports are known."""
        if task.task_id is None or task.agent_id is None or task.address is None:
            raise ValueError(f"{record.task_name(task)} is not placed")
        if len(task.ports) != PORTS[task.role]:
            raise ValueError(f"{task.task_id} needs {PORTS[task.role]} ports, got {len(task.ports)}")
        spec = self._settings.in_force(generation)
        generation = replace(generation, spec=spec)
        distribution = self._settings.distribution(spec.flink_version)
        env = self._env(record.name, spec, distribution)
        uris: tuple[FetchUri, ...] = ()
        if distribution.tarball is not None:
            uris = (FetchUri(distribution.tarball, extract=True, cache=True),)
        uris += tuple(
            FetchUri(plugin, cache=True, output_file=_name(plugin))
            for plugin in distribution.plugins
            if "://" in plugin
        )
        process: JobManager | TaskManager
        if task.role is Role.JOB_MANAGER:
            program = program_of(spec, distribution, gated=generation.gated and generation == record.upcoming)
            java = self._job_manager(record, generation, task, distribution, program)
            process, gpus = spec.job_manager, 0
            uris += program.uris
            env |= program.env
            if program.shipped is not None:
                env["WEIR_PROGRAM"] = program.shipped
        else:
            java = self._task_manager(generation, task, distribution)
            process, gpus = spec.task_manager, spec.task_manager.gpus
        return TaskInfo(
            task_id=task.task_id,
            name=f"{record.name}.{task.role}.{task.index}",
            agent_id=task.agent_id,
            cpus=process.cpus,
            mem_mb=float(process.memory),
            disk_mb=float(process.disk or 0),
            gpus=float(gpus),
            argv=("/bin/sh", "-c", START, "weir", distribution.java, *java),
            ports=task.ports,
            env=env,
            uris=uris,
            labels=_labels(record, generation, task),
            user=spec.user,
            image=distribution.image,
            kill_grace_s=self._settings.kill_grace_s,
        )

    def submission(self, record: Record, generation: Generation) -> JobSubmission:
        """What a job of a session is submitted as; the files that it names are read by Weir itself."""
        job = generation.spec.job
        return JobSubmission(
            uri=job.uri,
            entry_class=job.entry_class,
            args=tuple(job.args),
            parallelism=job.parallelism,
            restore=generation.restore.path if generation.restore is not None else None,
            allow_non_restored_state=job.allow_non_restored_state,
            configuration=config.submitted_configuration(self._settings, record, generation),
        )

    def _job_manager(
        self, record: Record, generation: Generation, task: Task, distribution: FlinkDistribution, program: Program
    ) -> tuple[str, ...]:
        spec, version = generation.spec, flink_version(generation.spec.flink_version)
        rest, rpc, blob, metrics = (str(port) for port in task.ports)
        parts = memory.job_manager_memory(spec.job_manager.memory * memory.MIB, spec.flink_configuration)
        bind = _bind_host(task.address or "", distribution)
        decided = {
            **config.high_availability(self._settings, generation.cluster_id),
            **(config.session_configuration if spec.is_session else config.job_configuration)(
                self._settings, record, generation
            ),
            **version.owned,
            **parts.configuration(),
            **self._reporter(spec, metrics),
            "high-availability.jobmanager.port": rpc,
            "jobmanager.rpc.address": task.address or "",
            "jobmanager.rpc.port": rpc,
            "jobmanager.bind-host": "0.0.0.0" if version.blobs_on_localhost else bind,
            "rest.address": task.address or "",
            "rest.port": rest,
            "rest.bind-address": bind,
            "rest.bind-port": rest,
            "blob.server.port": blob,
        }
        restore: tuple[str, ...] = ()
        if generation.restore is not None:
            restore = ("--fromSavepoint", generation.restore.path)
            if spec.job.allow_non_restored_state:
                restore += ("--allowNonRestoredState",)
        started = (
            *self._java(spec, task.role, parts.jvm_options(), parts.heap, spec.job_manager.cpus),
            "-cp", f"{distribution.home}/lib/*" + (":gate" if "WEIR_GATE" in program.env else ""),
            SESSION_CLASS if spec.is_session else JOB_MANAGER_CLASS,
            "--configDir", "conf",
            *config.to_arguments(decided),
        )  # fmt: skip
        if spec.is_session:
            return started
        return (
            *started,
            "--job-id", generation.job_id,
            *restore,
            *program.options,
            # Everything behind it is the program's own, even if it looks like an option of Flink.
            "--",
            *program.arguments,
        )  # fmt: skip

    def _task_manager(self, generation: Generation, task: Task, distribution: FlinkDistribution) -> tuple[str, ...]:
        spec = generation.spec
        rpc, data, metrics = (str(port) for port in task.ports)
        parts = memory.task_manager_memory(spec.task_manager.memory * memory.MIB, spec.flink_configuration)
        decided = {
            **config.high_availability(self._settings, generation.cluster_id),
            **parts.configuration(),
            **self._reporter(spec, metrics),
            "taskmanager.cpu.cores": str(spec.task_manager.cpus),
            "taskmanager.numberOfTaskSlots": str(spec.task_manager.slots),
            "taskmanager.resource-id": task.task_id or "",
            "taskmanager.host": task.address or "",
            "taskmanager.bind-host": _bind_host(task.address or "", distribution),
            "taskmanager.rpc.port": rpc,
            "taskmanager.data.port": data,
        }
        heap = parts.framework_heap + parts.task_heap
        return (
            *self._java(spec, task.role, parts.jvm_options(), heap, spec.task_manager.cpus),
            "-cp", f"{distribution.home}/lib/*",
            TASK_MANAGER_CLASS,
            "--configDir", "conf",
            *config.to_arguments(decided),
        )  # fmt: skip

    def exports_metrics(self, spec: JobSpec) -> bool:
        """Whether tasks of this spec serve Prometheus metrics on the last of their ports."""
        return config.exports_metrics(self._settings, self._settings.configured(spec))

    def _reporter(self, spec: JobSpec, port: str) -> dict[str, str]:
        return config.metrics_reporter(port) if config.exports_metrics(self._settings, spec) else {}

    def _java(
        self,
        spec: JobSpec,
        role: Role,
        memory_options: tuple[str, ...],
        heap: int,
        cpus: float,
    ) -> tuple[str, ...]:
        jaas = self._settings.zookeeper_jaas_file
        login = (f"-Djava.security.auth.login.config={jaas}",) if jaas is not None else ()
        chosen = (*self._settings.java_options, *login, *_user_options(spec, role))
        collector: tuple[str, ...] = ()
        if heap < _SMALL_HEAP and not any(o.startswith("-XX:+Use") and o.endswith("GC") for o in chosen):
            collector = ("-XX:+UseSerialGC",)
        compiler: tuple[str, ...] = ()
        if role is Role.JOB_MANAGER and cpus <= 1 and not any("TieredStopAtLevel" in o for o in chosen):
            # A small JobManager starts a quarter faster, and smaller, when it is not optimised as it starts.
            compiler = ("-XX:TieredStopAtLevel=1",)
        return (
            *MODULE_OPTIONS,
            # Without it every JVM sizes its thread pools for the whole host.
            f"-XX:ActiveProcessorCount={max(1, math.ceil(cpus))}",
            *collector,
            *compiler,
            *chosen,
            *memory_options,
            "-Dlog4j.configurationFile=conf/log4j-console.properties",
        )

    def _env(self, name: str, spec: JobSpec, distribution: FlinkDistribution) -> dict[str, str]:
        """A task inherits nothing of the agent's environment, so all that Flink needs is here."""
        python = distribution.python if spec.job.type in ("python", "sql") else None
        version = flink_version(spec.flink_version)
        merged = {
            **config.suggested(name, version, python),
            **config.session_timeout(self._settings),
            **config.zookeeper_access(self._settings),
            **config.rest_ciphers(spec.flink_configuration),
            **spec.flink_configuration,
        }
        plain, secrets = config.split_secrets(merged, spec.secrets)
        if self._settings.s3 is not None:
            plain |= self._settings.s3.configuration
            secrets += "".join(f"{key} {file}\n" for key, file in self._settings.s3.secrets.items())
        path = self._settings.path
        if distribution.python is not None:
            path = f"{PurePosixPath(distribution.python).parent}:{path}"
        home = distribution.home
        env = {
            "PATH": path,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            **self._settings.env,
            **{f"{_variable(name)}_FILE": file for name, file in spec.secrets.items()},
            **spec.env,
            "FLINK_HOME": home,
            "FLINK_LIB_DIR": f"{home}/lib",
            "FLINK_OPT_DIR": f"{home}/opt",
            "FLINK_PLUGINS_DIR": f"{home}/plugins",
            "WEIR_LOG4J": LOG4J,
            "WEIR_CONFIG": config.to_yaml(plain),
        }
        if secrets:
            env["WEIR_SECRETS"] = secrets
        if distribution.plugins:
            fetched = (f"./{_name(plugin)}" if "://" in plugin else plugin for plugin in distribution.plugins)
            env["WEIR_PLUGINS"] = "".join(f"{plugin}\n" for plugin in fetched)
        return env


def _labels(record: Record, generation: Generation, task: Task) -> dict[str, str]:
    """By which a task is recognised even without its record (fault 28)."""
    return {
        "weir.job": record.name,
        "weir.uid": record.uid,
        "weir.generation": str(generation.number),
        "weir.role": task.role.value,
        "weir.index": str(task.index),
        "weir.attempt": str(task.attempt),
        "weir.flink-version": generation.spec.flink_version,
        "weir.cluster-id": generation.cluster_id,
        "weir.flink-job-id": generation.job_id,
    }


def _user_options(spec: JobSpec, role: Role) -> tuple[str, ...]:
    keys = ("env.java.opts", "env.java.opts.all", f"env.java.opts.{_ROLE_NAMES[role]}")
    found: list[str] = []
    for key in keys:
        try:
            found += shlex.split(spec.flink_configuration.get(key, ""))
        except ValueError as error:
            raise ValueError(f"flinkConfiguration {key} cannot be split into options: {error}") from None
    return tuple(found)


def _bind_host(address: str, distribution: FlinkDistribution) -> str:
    """Bind to the task's own address, so that several agents can share a host by loopback addresses.

    A host name may resolve to a loopback address on its own host, and a container's network may not
    have the agent's address: both bind to all interfaces.
    """
    if distribution.image is not None:
        return "0.0.0.0"
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "0.0.0.0"
    return address


def _name(uri: str) -> str:
    return PurePosixPath(unquote(urlsplit(uri).path)).name


def _variable(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).upper()
