"""`weir logs`: what the tasks of a job write, read from the sandboxes on the agents."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from reconciler.app import cli_completion
from reconciler.app.cli_errors import NOT_FOUND, USAGE, Problem
from reconciler.app.cli_jobs import load_view
from reconciler.app.cli_services import JobStore, Services, connected, note
from reconciler.app.render_output import on_terminal
from reconciler.app.task_logs import Lines, Stream, Wanted, short
from reconciler.model.events import StoredRecord
from reconciler.model.ids import parse_task_id
from reconciler.model.record import Record
from reconciler.ports import StoreUnavailable

if TYPE_CHECKING:
    from integration.mesos.sandbox import SandboxFiles

POLL_S = 0.5
LOOK_S = 2.0
"""How often --follow looks for tasks that took the place of others."""


def _wanted(context: click.Context, parameter: click.Parameter, value: str) -> Wanted:
    try:
        return Wanted.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option(
    "--task",
    "wanted",
    default="jm",
    show_default=True,
    metavar="TASK",
    callback=_wanted,
    help="jm, tm (all TaskManagers), tm.1 (one of them), or a task id.",
)
@click.option("--stderr", is_flag=True, help="What it writes to stderr, instead of stdout.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on, also with tasks that take its place; end with Ctrl-C.")
@click.option("--master", metavar="URL", help="Mesos master, if not that of the leader: zk://HOSTS/mesos or HOST:PORT.")
@connected
def logs(
    services: Services, name: str, wanted: Wanted, stderr: bool, tail: int | None, follow: bool, master: str | None
) -> None:
    """Print what the tasks of a job write.

    It is read from the task's sandbox on its agent, also after the task has ended, for as long as the agent keeps the
    sandbox. The newest attempt is meant; the id of an older one stands in `weir events`. With more than one
    task each line begins with the task.
    """
    whole = parse_task_id(wanted.task_id) if wanted.task_id is not None else None
    if whole is not None and whole.job != name:
        raise Problem(
            f'{wanted.task_id} is no task of "{name}"; see: weir logs {whole.job} --task {wanted.task_id}', USAGE
        )
    with services.store() as store:
        _refuse_session_job(store, name)
        address = _master(services, store, master)
        files = services.sandbox_files(services.settings().mesos)
        reader = _Reader(services, store, files, address, name, wanted, "stderr" if stderr else "stdout")
        try:
            reader.run(tail, follow=follow)
        finally:
            files.close()


def _refuse_session_job(store: JobStore, name: str) -> None:
    job = load_view(store, name)
    if job.spec is not None and job.spec.session is not None:
        session = job.spec.session
        raise Problem(f'"{name}" has no tasks of its own, it runs in a session; see: weir logs {session}', NOT_FOUND)


def _master(services: Services, store: JobStore, said: str | None) -> str:
    """host:port of a master to ask."""
    from integration.mesos.errors import MasterAddressError

    if said is None:
        leader = store.last_leader()
        said = (leader.master if leader is not None else None) or services.settings().mesos.master
        if said is None:
            raise Problem("no leader has said yet where Mesos is; name it with --master zk://HOST:PORT/mesos", USAGE)
    try:
        found = services.find_master(said, services.settings().mesos)
    except MasterAddressError as error:
        raise Problem(str(error), USAGE) from None
    if found is None:
        raise Problem(f"no Mesos master was found at {said.rpartition('@')[2]}; name another with --master")
    return found


class _Reader:
    """Streams of the tasks that are meant."""

    def __init__(
        self,
        services: Services,
        store: JobStore,
        files: SandboxFiles,
        master: str,
        name: str,
        wanted: Wanted,
        file: str,
    ) -> None:
        self._services = services
        self._store = store
        self._files = files
        self._master = master
        self._name = name
        self._wanted = wanted
        self._file = file
        self._streams: dict[str, tuple[Stream, Lines]] = {}
        self._told: set[str] = set()
        self._missing: set[str] = set()
        """Why the task that took a place is not read yet."""

    def run(self, tail: int | None, *, follow: bool) -> None:
        found = self._newest()
        prefixed = len(found) > 1 or (follow and self._wanted.several)
        for task_id, agent_id in found:
            self._open(task_id, agent_id, tail, prefixed=prefixed)
        for stream, lines in self._streams.values():
            self._print(stream, lines)
        if follow:
            self._follow(prefixed=prefixed)
        for _, lines in self._streams.values():
            click.echo(lines.end(), nl=False)

    def _follow(self, *, prefixed: bool) -> None:
        from integration.mesos.sandbox import NoSandbox

        looked = self._services.monotonic()
        while True:
            self._services.sleep(POLL_S)
            wrong = set()
            for stream, lines in list(self._streams.values()):
                try:
                    self._print(stream, lines)
                except NoSandbox as error:
                    wrong.add(str(error))
            if self._services.monotonic() - looked >= LOOK_S:
                looked = self._services.monotonic()
                try:
                    self._look_again(prefixed=prefixed)
                except (NoSandbox, StoreUnavailable) as error:
                    self._missing = {str(error)}
                else:
                    self._missing = set()
            self._tell(wrong | self._missing)

    def _look_again(self, *, prefixed: bool) -> None:
        """Tasks that took the place of others: those are read to their end, then the new ones."""
        from integration.mesos.sandbox import NoSandbox

        record = self._record()
        placed = {task.task_id: task.agent_id for task in record.tasks if task.task_id and task.agent_id}
        for task_id, agent_id in self._wanted.newest(placed, record.uid):
            if task_id in self._streams:
                continue
            ended = [each for each in self._streams if short(each) == short(task_id)]
            self._open(task_id, agent_id, None, prefixed=prefixed)
            for each in ended:
                stream, lines = self._streams.pop(each)
                with suppress(NoSandbox):  # its agent may be gone with it
                    self._print(stream, lines)
                click.echo(lines.end(), nl=False)
            note(f"{task_id} from here on")

    def _open(self, task_id: str, agent_id: str, tail: int | None, *, prefixed: bool) -> None:
        stream = Stream(self._files, self._files.find(self._master, agent_id, task_id), self._file)
        if tail is not None:
            stream.skip_to_tail(tail)
        prefix = f"{short(task_id)} | " if prefixed else ""
        self._streams[task_id] = (stream, Lines(prefix, plain=on_terminal()))

    @staticmethod
    def _print(stream: Stream, lines: Lines) -> None:
        for piece in stream.read():
            click.echo(lines.take(piece), nl=False)

    def _tell(self, wrong: set[str]) -> None:
        """Once, not on each attempt."""
        for text in sorted(wrong - self._told):
            note(f"{text}; it is tried again")
        self._told = wrong

    def _newest(self) -> list[tuple[str, str]]:
        """Of the tasks in the record, else of those that the master remembers, else of the sandboxes of all agents."""
        record = self._record()
        placed = {task.task_id: task.agent_id for task in record.tasks if task.task_id and task.agent_id}
        known: Mapping[str, str] = placed
        for more in (self._remembered, self._searched):
            found = self._wanted.newest(known, record.uid)
            if found:
                return found
            known = {**more(record), **placed}
        found = self._wanted.newest(known, record.uid)
        if found:
            return found
        meant = self._wanted.task_id or self._wanted.role + (
            f".{self._wanted.index}" if self._wanted.index is not None else ""
        )
        tasks = ", ".join(sorted({short(each) for each in placed})) or "none runs"
        raise Problem(
            f'there is no sandbox of {meant} of "{self._name}"; its tasks: {tasks}; see: weir describe {self._name}',
            NOT_FOUND,
        )

    def _remembered(self, record: Record) -> Mapping[str, str]:
        del record
        framework = self._store.load_framework_id()
        return self._files.tasks(self._master, framework) if framework is not None else {}

    def _searched(self, record: Record) -> Mapping[str, str]:
        return self._files.search(self._master, f"{record.name}.{record.uid}.")

    def _record(self) -> Record:
        stored = self._store.load_record(self._name)
        if not isinstance(stored, StoredRecord):
            raise Problem(f'nothing is remembered of "{self._name}" yet; see: weir describe {self._name}', NOT_FOUND)
        return stored.record
