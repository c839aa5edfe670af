"""Rules that no single field shows: what fits together, what the installation has, what Flink refuses.

Each rule names the fields it reads; it is left out when one of them is wrong already, so that one
mistake is reported once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from croniter import croniter

from reconciler.model import flink_keys, uris
from reconciler.model.constraints import ConstraintError
from reconciler.model.constraints import parse as parse_constraint
from reconciler.model.spec import JobSpec
from reconciler.model.spec_errors import SpecLimits, problem, shown
from reconciler.model.spec_messages import REQUIRED, one_of
from reconciler.model.status import SpecError
from reconciler.model.units import format_duration, format_memory

MIN_JOB_MANAGER_MIB = 512
"""Below this Flink's fixed parts (metaspace, overhead, off-heap) leave no heap."""
MIN_TASK_MANAGER_MIB = 512
TASK_MANAGER_BASE_MIB = 384
MIB_PER_SLOT = 64
"""Heap, network buffers and managed memory of a slot that does next to nothing."""
MIN_DISK_MIB = 64
"""What the logs and the temporary files of a process that does next to nothing take."""
MIN_CPUS = 0.1
"""A JVM with less does not answer in time."""

_Rule = Callable[[JobSpec, SpecLimits], Iterator[SpecError]]


def check(spec: JobSpec, limits: SpecLimits, broken: frozenset[str] = frozenset()) -> Iterator[SpecError]:
    """Everything that is wrong with a spec whose fields are right; `broken` are paths reported already."""
    for reads, rule in _RULES:
        if not any(_hits(path, field) for path in broken for field in reads):
            yield from rule(spec, limits)


def _hits(broken: str, field: str) -> bool:
    return broken == field or (broken != "" and field.startswith(f"{broken}."))


def _version(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    if spec.in_session:
        return
    if not spec.flink_version:
        yield problem("flinkVersion", "is required", REQUIRED["flinkVersion"])
        return
    have = limits.flink_versions
    series = ".".join(spec.flink_version.split(".")[:2])
    if have is not None and spec.flink_version not in have and series not in have:
        listed = ", ".join(sorted(have)) or "none"
        yield problem(
            "flinkVersion",
            f"the operator has no distribution of Flink {spec.flink_version}; it has: {listed}",
            "write one of these, or have the version added to the operator's configuration",
        )


def _job_uri(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    if spec.is_session:
        return
    yield from _location("job.uri", spec.job.uri, limits)
    suffix = spec.job.uri.rsplit(".", 1)[-1].lower()
    right = {"py": "python", "jar": "jar", "sql": "sql"}.get(suffix, spec.job.type)
    if right != spec.job.type:
        yield problem("job.uri", f"{shown(spec.job.uri)} is not a {spec.job.type} job", f'write "type": "{right}"')


def _py_files(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    if spec.job.py_files and spec.job.type != "python":
        yield problem("job.pyFiles", f"belongs to python jobs, this one is {spec.job.type}", "leave it out")
        return
    for index, uri in enumerate(spec.job.py_files):
        yield from _location(f"job.pyFiles.{index}", uri, limits)


def _sql(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    if spec.job.type != "sql":
        return
    if spec.job.args:
        yield problem("job.args", "an SQL script takes no arguments", "write the values into the script")
    if spec.job.entry_class is not None:
        yield problem("job.entryClass", "an SQL script has no class", "leave it out")


_ARTEFACT_KEYS = (
    "pipeline.jars", "pipeline.classpaths", "python.files", "python.archives", "python.requirements",
    "user.artifacts.artifact-list",
)  # fmt: skip
"""Keys of Flink that name files of a job (Flink docs, "Configuration"); entries are separated by , or ;"""


def _allowed(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    named = [] if spec.is_session else [("job.uri", spec.job.uri)]
    named += [(f"job.pyFiles.{index}", uri) for index, uri in enumerate(spec.job.py_files)]
    for key in _ARTEFACT_KEYS:
        for uri in re.split("[,;]", spec.flink_configuration.get(key, "")):
            if uri:
                named.append((f"flinkConfiguration.{key}", uri.partition("#")[0]))
    yield from _outside(named, limits.artefacts, "jobs.allowed_artefacts")
    state = (
        ("job.initialSavepointPath", spec.job.initial_savepoint_path),
        ("snapshots.savepointDir", spec.snapshots.savepoint_dir),
    )
    yield from _outside([(path, uri) for path, uri in state if uri], limits.state, "jobs.allowed_savepoints")


def _outside(named: list[tuple[str, str]], prefixes: tuple[str, ...] | None, setting: str) -> Iterator[SpecError]:
    for path, uri in named:
        why = uris.refusal(uri, prefixes)
        if why is not None:
            hint = f"put it below one of them, or have its place added to {setting} of the operator"
            yield problem(path, f"{shown(uri)} is refused: {why}", hint)


def _directories(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    # Flink reads these through its own file systems, so the fetcher's schemes do not limit them.
    for path, uri in (
        ("job.initialSavepointPath", spec.job.initial_savepoint_path),
        ("snapshots.savepointDir", spec.snapshots.savepoint_dir),
    ):
        if uri is not None:
            yield from _location(path, uri, None)


def _location(path: str, uri: str, limits: SpecLimits | None) -> Iterator[SpecError]:
    if re.search(r"[\x00-\x20\x7f]", uri):
        yield problem(path, f"{shown(uri)} holds a space or a control character", "write a space in a URI as %20")
        return
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        yield problem(path, f"{shown(uri)} is not a URI: {error}")
        return
    if not parts.scheme:
        if not uri.startswith("/"):
            hint = "write an absolute path (/srv/jobs/job.py) or a URI (file:///srv/jobs/job.py)"
            yield problem(path, f"{shown(uri)} is relative, and tasks have no common directory to start from", hint)
        return
    if limits is not None and parts.scheme not in limits.uri_schemes:
        listed = ", ".join(sorted(limits.uri_schemes))
        yield problem(
            path, f'the scheme "{parts.scheme}" is not allowed here', f"allowed: {listed}, or an absolute path"
        )
    elif parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        hint = f"did you mean file:///{parts.netloc}{parts.path}?"
        yield problem(path, f'{shown(uri)} names the host "{parts.netloc}"', hint)
    elif parts.scheme == "file" and not parts.path.startswith("/"):
        yield problem(path, f"{shown(uri)} is relative", f"did you mean file:///{parts.path}?")
    elif parts.scheme in ("http", "https", "s3") and not parts.netloc:
        yield problem(path, f"{shown(uri)} names no {'bucket' if parts.scheme == 's3' else 'host'}")


def _args(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    for index, arg in enumerate(spec.job.args):
        if "\0" in arg:
            yield problem(f"job.args.{index}", "holds a NUL character, which no argument can carry")


def _environment(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    for name, value in spec.env.items():
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
            better = re.sub(r"\W", "_", name, flags=re.ASCII)
            hint = f"letters, digits and underscores, no digit first, such as {better}" if name else None
            yield problem(f"env.{name}", f"{shown(name)} cannot be the name of an environment variable", hint)
        if "\0" in value:
            yield problem(f"env.{name}", "holds a NUL character, which no environment variable can carry")
    if spec.user is not None and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}", spec.user) is None:
        yield problem(
            "user", f"{shown(spec.user)} cannot be the name of a user", "leave it out for the operator's default"
        )


def _secrets(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    for name, path in spec.secrets.items():
        if re.fullmatch(r"[A-Za-z0-9_.-]+", name, flags=re.ASCII) is None:
            yield problem(f"secrets.{name}", f"{shown(name)} cannot be the name of a secret")
        elif re.search(r"[\x00-\x1f\x7f]", path) or path != path.strip():
            yield problem(f"secrets.{name}", "the path begins or ends with a space, or holds a control character")
        elif not path.startswith("/"):
            hint = "write where the file is on every agent, such as /run/secrets/token; never the secret itself"
            yield problem(f"secrets.{name}", f"{shown(path)} is relative", hint)
    for key, value in spec.flink_configuration.items():
        named = re.fullmatch(r"\$\{secret:([^}]+)\}", value)
        if named is not None and named[1] not in spec.secrets:
            near = difflib.get_close_matches(named[1], spec.secrets, n=1)
            hint = f'did you mean "{near[0]}"?' if near else "add it to secrets"
            yield problem(f"flinkConfiguration.{key}", f"there is no {shown(named[1])} in secrets", hint)
        elif named is not None and not flink_keys.masked(key):
            words = ", ".join(flink_keys.MASKED_WORDS)
            hint = f"Flink hides only keys that hold one of: {words}; let the job read the file itself"
            yield problem(f"flinkConfiguration.{key}", "Flink prints its value into its log and shows it by REST", hint)


def _configuration(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    for key, value in spec.flink_configuration.items():
        why = flink_keys.refusal(key)
        if why is not None:
            yield problem(f"flinkConfiguration.{key}", f"cannot be set: {why}", "leave it out")
        elif re.fullmatch(r"[A-Za-z0-9$_][\w.$\-/]*", key, flags=re.ASCII) is None:
            yield problem(f"flinkConfiguration.{key}", f"{shown(key)} is not a configuration key")
        elif "\0" in value:
            yield problem(f"flinkConfiguration.{key}", "holds a NUL character")
        elif key == flink_keys.REST_TLS and value.strip().lower() not in ("true", "false"):
            yield problem(f"flinkConfiguration.{key}", f"{shown(value)} is neither true nor false")


def _resources(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    tm = spec.task_manager
    least = max(MIN_TASK_MANAGER_MIB, TASK_MANAGER_BASE_MIB + MIB_PER_SLOT * tm.slots)
    for path, what, cpus, memory, needed in (
        ("jobManager", "a JobManager", spec.job_manager.cpus, spec.job_manager.memory, MIN_JOB_MANAGER_MIB),
        ("taskManager", f"a TaskManager with {tm.slots} slots", tm.cpus, tm.memory, least),
    ):
        if cpus < MIN_CPUS:
            yield problem(f"{path}.cpus", f"{cpus:g} is too little for a JVM, the least is {MIN_CPUS:g}")
        if memory < needed:
            hint = f'write "{format_memory(needed)}" or more' + (", or fewer slots" if path == "taskManager" else "")
            yield problem(f"{path}.memory", f"{format_memory(memory)} is too little for {what}", hint)
        if limits.max_task_cpus is not None and cpus > limits.max_task_cpus:
            yield problem(
                f"{path}.cpus",
                f"{cpus:g} is more than any agent offers to one task ({limits.max_task_cpus:g})",
                "it would wait for ever; use fewer cpus and more TaskManagers",
            )
        if limits.max_task_mem is not None and memory > limits.max_task_mem:
            most = format_memory(limits.max_task_mem)
            yield problem(
                f"{path}.memory",
                f"{format_memory(memory)} is more than any agent offers to one task ({most})",
                "it would wait for ever; use less memory and more TaskManagers",
            )


def _disk_and_gpus(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    for path, disk in (("jobManager", spec.job_manager.disk), ("taskManager", spec.task_manager.disk)):
        if disk is not None and disk < MIN_DISK_MIB:
            hint = f'write "{format_memory(MIN_DISK_MIB)}" or more, or leave it out and none is taken from the offer'
            yield problem(f"{path}.disk", f"{format_memory(disk)} is too little for logs and temporary files", hint)
    if spec.task_manager.gpus and not limits.gpus:
        yield problem(
            "taskManager.gpus",
            f"{spec.task_manager.gpus} is refused: Mesos does not offer GPUs to this operator",
            "have mesos.gpus set in the operator's configuration",
        )


def _slots(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    tm = spec.task_manager
    if not spec.is_session and tm.replicas is not None and tm.replicas * tm.slots < spec.job.parallelism:
        needed = -(-spec.job.parallelism // tm.slots)
        yield problem(
            "taskManager.replicas",
            f"{tm.replicas} TaskManagers with {tm.slots} slots have {tm.replicas * tm.slots} slots, "
            f"job.parallelism needs {spec.job.parallelism}",
            f"write {needed}, or leave it out and it follows from the parallelism",
        )


MAX_TASK_MANAGERS = 1000
CRON_FIELDS = 5
"""All tasks of a job stand in one record, and a znode holds less than 1 MiB (fault 16)."""


def _size(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    count = spec.task_managers()
    if count > MAX_TASK_MANAGERS:
        yield problem(
            "taskManager.replicas" if spec.task_manager.replicas is not None else "job.parallelism",
            f"{count} TaskManagers are more than the {MAX_TASK_MANAGERS} that one job may have",
            "give each TaskManager more slots (taskManager.slots)",
        )


def _strategies(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:
    for path, name, have in (
        ("restart.strategy", spec.restart.strategy, limits.restart_strategies),
        ("placement.strategy", spec.placement.strategy, limits.placement_strategies),
        ("placement.role", spec.placement.role, None if limits.roles is None else limits.roles | {"*"}),
    ):
        if have is not None and name not in have:
            yield one_of(path, name, sorted(have))


def _constraints(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    for index, constraint in enumerate(spec.placement.constraints):
        try:
            parse_constraint(constraint)
        except ConstraintError as error:
            yield problem(f"placement.constraints.{index}", str(error), error.hint)


def _backoff(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    restart = spec.restart
    if restart.initial_backoff > restart.max_backoff:
        yield problem(
            "restart.initialBackoff",
            f"{format_duration(restart.initial_backoff)} is longer than restart.maxBackoff "
            f"({format_duration(restart.max_backoff)})",
        )


def _periods(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    cron, interval = spec.snapshots.cron, spec.snapshots.interval
    if cron is not None and (len(cron) > 100 or len(cron.split()) != CRON_FIELDS or not croniter.is_valid(cron)):
        yield problem(
            "snapshots.cron",
            f"{shown(cron)} is not a cron expression",
            'write five fields in UTC: minute hour day month weekday, such as "0 */6 * * *"',
        )
    if interval is not None and interval < 10.0:
        yield problem(
            "snapshots.interval", "savepoints more often than every 10 s are refused", "use checkpoints instead"
        )


def _disposal(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    if spec.snapshots.dispose_on_delete and spec.on_delete == "keep":
        yield problem(
            "snapshots.disposeOnDelete",
            "with onDelete keep its tasks go on running, and may need the savepoints",
            'write "onDelete": "savepoint" or "cancel", or leave it out',
        )


def _session_job(spec: JobSpec, limits: SpecLimits) -> Iterator[SpecError]:  # noqa: ARG001
    if not spec.in_session:
        return
    if spec.job.type != "jar":
        yield problem(
            "job.type",
            f"a session takes JARs only; {spec.job.type} jobs need a Python client beside their own JobManager",
            'run it as an application ("kind": "Application")',
        )
    if spec.on_delete == "keep":
        yield problem(
            "onDelete",
            "a job of a session cannot outlive its spec: nobody would end it before its session",
            'write "savepoint" or "cancel"',
        )
    scheme = urlsplit(spec.job.uri).scheme
    if scheme not in ("", "file", "http", "https"):
        yield problem(
            "job.uri",
            f'the JAR of a session job is uploaded by Weir itself, which cannot read "{scheme}:"',
            "allowed: file, http, https, or an absolute path",
        )


_RULES: tuple[tuple[tuple[str, ...], _Rule], ...] = (
    (("flinkVersion",), _version),
    (("job.type", "job.uri"), _job_uri),
    (("job.type", "job.pyFiles"), _py_files),
    (("job.args",), _args),
    (("job.type", "job.args", "job.entryClass"), _sql),
    (("job.initialSavepointPath", "snapshots.savepointDir"), _directories),
    (
        ("job.uri", "job.pyFiles", "job.initialSavepointPath", "snapshots.savepointDir", "flinkConfiguration"),
        _allowed,
    ),
    (("snapshots.cron", "snapshots.interval"), _periods),
    (("env", "user"), _environment),
    (("flinkConfiguration",), _configuration),
    (("flinkConfiguration", "secrets"), _secrets),
    (
        ("jobManager.cpus", "jobManager.memory", "taskManager.cpus", "taskManager.memory", "taskManager.slots"),
        _resources,
    ),
    (("jobManager.disk", "taskManager.disk", "taskManager.gpus"), _disk_and_gpus),
    (("job.parallelism", "taskManager.slots", "taskManager.replicas"), _slots),
    (("taskManager.replicas", "taskManager.slots", "job.parallelism"), _size),
    (("restart.strategy", "placement.strategy", "placement.role"), _strategies),
    (("placement.constraints",), _constraints),
    (("restart.initialBackoff", "restart.maxBackoff"), _backoff),
    (("snapshots.disposeOnDelete", "onDelete"), _disposal),
    (("kind", "job.type", "job.uri", "onDelete"), _session_job),
)
