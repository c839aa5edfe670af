"""Accepting or refusing a version of the desired state: the pure rules, and those that need to look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from integration.flink.sql_job import plan
from integration.mesos.agents import AgentsNotKnownYet, LargestAgent
from reconciler.model.events import ParsedSpec, RawSpec
from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import SpecInvalid, SpecLimits, parse_spec
from reconciler.model.status import SpecError

_MAX_SCRIPT = 4 << 20
"""Bytes; a longer script is looked at by its job alone."""

UNREADABLE = "the ACL of the znode does not let Weir read it; copy that of its parent: weir protect, or zkCli.sh setAcl"

Check = Callable[[JobSpec], Sequence[SpecError]]


class Admission:
    """Parses raw specs for the loop; never raises."""

    def __init__(self, limits: SpecLimits, checks: Sequence[Check] = ()) -> None:
        self._limits = limits
        self._checks = checks

    def parse(self, raw: RawSpec) -> ParsedSpec:
        if raw.unreadable:
            return ParsedSpec(raw.ref, None, UNREADABLE)
        try:
            spec = parse_spec(raw.name, raw.data, self._limits)
            errors = tuple(error for check in self._checks for error in check(spec))
        except SpecInvalid as invalid:
            spec, errors = None, invalid.errors
        if errors:
            return ParsedSpec(raw.ref, None, "; ".join(error.sentence() for error in errors))
        return ParsedSpec(raw.ref, spec)


def job_files(spec: JobSpec) -> Sequence[SpecError]:
    """A `file:` job that is not there would only fail later, on an agent, after the old job was stopped."""
    found = []
    uris = [("job.uri", spec.job.uri)]
    uris += [(f"job.pyFiles[{index}]", uri) for index, uri in enumerate(spec.job.py_files)]
    for path, uri in uris:
        local = local_path(uri)
        if local is None:
            continue
        try:
            exists = local.is_file()
        except OSError as error:
            found.append(SpecError(path=path, message=f"{local} cannot be looked at: {error.strerror}"))
            continue
        if not exists:
            found.append(
                SpecError(
                    path=path,
                    message=f"there is no file {local}",
                    hint="put it there on every agent, or correct the path; the job goes on as it is until then",
                )
            )
    return found


def sql_script(spec: JobSpec) -> Sequence[SpecError]:
    """A script that cannot be one job would only fail in its JobManager, after the old job was stopped for it."""
    local = local_path(spec.job.uri)
    if spec.job.type != "sql" or local is None:
        return ()
    try:
        if not local.is_file() or local.stat().st_size > _MAX_SCRIPT:
            return ()
        plan(local.read_text(encoding="utf-8"))
    except OSError as error:
        return (SpecError(path="job.uri", message=f"{local} cannot be read: {error.strerror}"),)
    except ValueError as error:
        return (SpecError(path="job.uri", message=f"{local}: {error}"),)
    return ()


def resources(largest: Callable[[], LargestAgent | None]) -> Check:
    """A task that is larger than every agent would never be placed, and the job was stopped for it."""

    def checked(spec: JobSpec) -> Sequence[SpecError]:
        if spec.in_session:
            return ()  # it has no tasks of its own
        try:
            agent = largest()
        except AgentsNotKnownYet as unknown:
            hint = "it is looked at again within half a minute; the job goes on as it is until then"
            return (
                SpecError(path="", message=f"whether an agent could take its tasks is not known: {unknown}", hint=hint),
            )
        if agent is None:
            return ()
        found = []
        for section, process in (("jobManager", spec.job_manager), ("taskManager", spec.task_manager)):
            if process.cpus > agent.cpus:
                most = f"the largest agent has {agent.cpus:g} ({agent.cpus_on})"
                found.append(_too_large(f"{section}.cpus", f"{process.cpus:g} cpus: {most}"))
            if process.memory > agent.mem_mb:
                most = f"the largest agent has {agent.mem_mb:g} MiB ({agent.mem_on})"
                found.append(_too_large(f"{section}.memory", f"{process.memory} MiB: {most}"))
            if process.disk is not None and process.disk > agent.disk_mb:
                most = _most(f"{agent.disk_mb:g} MiB", agent.disk_on, "offers disk")
                found.append(_too_large(f"{section}.disk", f"{process.disk} MiB of disk: {most}"))
        gpus = spec.task_manager.gpus
        if gpus > agent.gpus:
            most = _most(f"{agent.gpus:g}", agent.gpus_on, "has GPUs")
            found.append(_too_large("taskManager.gpus", f"{gpus} gpus: {most}"))
        return found

    return checked


def _most(amount: str, hostname: str, what: str) -> str:
    return f"the largest agent has {amount} ({hostname})" if hostname else f"no agent {what}"


def _too_large(path: str, what: str) -> SpecError:
    return SpecError(
        path=path, message=f"no agent could take a task of {what}", hint="ask for less, or add a larger agent"
    )


def memory(check: Callable[[JobSpec], object]) -> Check:
    """Memory that Flink could not divide up is refused with Flink's own rule and the numbers."""

    def checked(spec: JobSpec) -> Sequence[SpecError]:
        try:
            check(spec)
        except ValueError as error:
            return (SpecError(path="", message=str(error)),)
        return ()

    return checked


def local_path(uri: str) -> Path | None:
    """The path of a `file:` URI or a bare absolute path; None for anything fetched from elsewhere."""
    if uri.startswith("/"):
        return Path(uri)
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
