"""`weir pause`, `unpause`, `confirm`, `fence`, `restore-from`, `rollback` and `force`: requests to the leader.

Each is one document in `ROOT/control/NAME`, as anybody could write it with zkCli; the leader answers it,
exactly once, and the answer is waited for and printed.
"""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from typing import Any

import click

from reconciler.app import cli_completion, render_output
from reconciler.app.cli_edit import ask, require
from reconciler.app.cli_errors import FAILED, TIMED_OUT, USAGE, Problem
from reconciler.app.cli_jobs import NOBODY_LEADS, load_view
from reconciler.app.cli_services import JobStore, Services, Silence, connected, note
from reconciler.app.cli_wait import duration, wait_deleted, wait_for
from reconciler.app.render_views import JobView
from reconciler.model.control import GLOBAL
from reconciler.model.events import StoredRecord
from reconciler.model.units import format_duration
from reconciler.ports import StoreError, StoreUnavailable, VersionConflict

POLL_S = 0.2
RUNS = frozenset({"STABLE", "FINISHED", "ROLLED_BACK", "SUSPENDED"})

_answer_timeout = click.option(
    "--timeout", default="30s", show_default=True, callback=duration, help="How long the answer is waited for."
)
_reason = click.option("--reason", default="", help="Why, for the events and the status.")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_wait = click.option("--wait", is_flag=True, help="Wait until the job runs again, or is gone if it is deleted.")
_wait_timeout = click.option(
    "--wait-timeout",
    default="5m",
    show_default=True,
    callback=duration,
    help="How long --wait waits after the answer, such as 90s.",
)
_output = render_output.output_option()
_all = click.option("--all", "everything", is_flag=True, help="All jobs.")


@click.command()
@click.argument("name", required=False, shell_complete=cli_completion.jobs)
@_all
@_reason
@_answer_timeout
@_output
@connected
def pause(services: Services, name: str | None, everything: bool, reason: str, timeout: float, output: str) -> None:
    """Observe a job, or all of them, and do nothing: no kill, no launch, no call."""
    with services.store() as store:
        ask_for(services, store, _about(store, name, everything), "pause", timeout, output, reason=reason)


@click.command()
@click.argument("name", required=False, shell_complete=cli_completion.jobs)
@_all
@_answer_timeout
@_output
@connected
def unpause(services: Services, name: str | None, everything: bool, timeout: float, output: str) -> None:
    """End a pause; what happened meanwhile is dealt with."""
    with services.store() as store:
        ask_for(services, store, _about(store, name, everything), "unpause", timeout, output)


@click.command()
@click.argument("what", shell_complete=cli_completion.jobs)
@_yes
@_answer_timeout
@_output
@connected
def confirm(services: Services, what: str, yes: bool, timeout: float, output: str) -> None:
    """Say that jobs which vanished are to be deleted.

    WHAT is the mark that the status of every held job names, which stands for all of them; or the name
    of one held job.
    """
    with services.store() as store:
        held = {name: status for name, status in store.list_statuses().items() if status.held}
        if what in held:
            ask(yes, what, f"Delete {what}? Its desired state has vanished.")
            ask_for(services, store, what, "confirm", timeout, output)
            return
        if not held:
            raise Problem("nothing is held; see: weir get")
        note(f"held: {', '.join(sorted(held))}")
        ask(yes, what, f"Delete these {len(held)} jobs?", of="mark")
        ask_for(services, store, GLOBAL, "confirm", timeout, output, held=what)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option("--generation", type=click.IntRange(min=1), required=True, help="The generation that is dead.")
@_yes
@_wait
@_answer_timeout
@_wait_timeout
@_output
@connected
def fence(
    services: Services,
    name: str,
    generation: int,
    yes: bool,
    wait: bool,
    timeout: float,
    wait_timeout: float,
    output: str,
) -> None:
    """Declare a generation dead that Weir cannot see.

    Weir then starts the next one without any proof. If a JobManager of this generation still runs, two
    generations write the job's output at the same time. The declaration is recorded.
    """
    with services.store() as store:
        job = load_view(store, name)
        ask(yes, name, f"Declare generation {generation} of {name} dead? If it still runs, both will write.")
        ask_for(services, store, name, "fence", timeout, output, generation=generation)
        _wait_for(services, store, job, wait, wait_timeout, output)


@click.command("restore-from")
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option("--path", help="A savepoint or checkpoint.")
@click.option("--latest", is_flag=True, help="The newest known state that is really there.")
@click.option("--empty", is_flag=True, help="No state at all.")
@_yes
@_wait
@_answer_timeout
@_wait_timeout
@_output
@connected
def restore_from(
    services: Services,
    name: str,
    path: str | None,
    latest: bool,
    empty: bool,
    yes: bool,
    wait: bool,
    timeout: float,
    wait_timeout: float,
    output: str,
) -> None:
    """Say what a job starts from; a running one is stopped for it.

    What is newer than the state that is named is given up.
    """
    chosen: dict[str, Any] = {"path": path, "latest": latest, "empty": empty}
    chosen = {key: value for key, value in chosen.items() if value}
    if len(chosen) != 1:
        raise Problem("say one of --path PATH, --latest and --empty", USAGE)
    with services.store() as store:
        job = require(store, name)
        origin = path or ("no state at all" if empty else "the newest state that is there")
        ask(yes, name, f"Start {name} from {origin}? What is newer is given up.")
        ask_for(services, store, name, "restore-from", timeout, output, **chosen)
        _wait_for(services, store, job, wait, wait_timeout, output)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@click.option(
    "--generation", type=click.IntRange(min=1), help="To the spec of this one.  [default: the last stable spec]"
)
@_yes
@_wait
@_answer_timeout
@_wait_timeout
@_output
@connected
def rollback(
    services: Services,
    name: str,
    generation: int | None,
    yes: bool,
    wait: bool,
    timeout: float,
    wait_timeout: float,
    output: str,
) -> None:
    """Run an earlier spec of a job, until its desired state is changed.

    `weir history NAME` shows which ones are kept.
    """
    with services.store() as store:
        job = require(store, name)
        what = f"the spec of generation {generation}" if generation else "its last stable spec"
        ask(yes, name, f"Take {name} back to {what}?")
        given = {} if generation is None else {"generation": generation}
        ask_for(services, store, name, "rollback", timeout, output, **given)
        _wait_for(services, store, job, wait, wait_timeout, output)


@click.command()
@click.argument("name", shell_complete=cli_completion.jobs)
@_yes
@_wait
@_answer_timeout
@_wait_timeout
@_output
@connected
def force(
    services: Services, name: str, yes: bool, wait: bool, timeout: float, wait_timeout: float, output: str
) -> None:
    """End a job without the savepoint that its end waits for; its newest checkpoint is used.

    For an upgrade or a delete whose savepoint cannot be written.
    """
    with services.store() as store:
        job = load_view(store, name)
        ask(yes, name, f"End {name} without the savepoint?")
        ask_for(services, store, name, "force", timeout, output)
        _wait_for(services, store, job, wait, wait_timeout, output)


# Asking


def _about(store: JobStore, name: str | None, everything: bool) -> str:
    if everything == (name is not None):
        raise Problem("name one job, or say --all", USAGE)
    if name is None:
        return GLOBAL
    load_view(store, name)
    return name


def _wait_for(services: Services, store: JobStore, job: JobView, wait: bool, timeout: float, output: str) -> None:
    if not wait:
        return
    if job.raw is not None:
        wait_for(services, store, job.name, RUNS, timeout)
        return
    wait_deleted(services, store, job.name, timeout)
    click.echo(f"{job.name} is gone", err=output != "table")


def ask_for(
    services: Services, store: JobStore, name: str, action: str, timeout: float, output: str, **args: Any
) -> None:
    """Write the request, wait for its answer and print it. Raises Problem when it is refused."""
    id_ = uuid.uuid4().hex[:12]
    given = {key: value for key, value in args.items() if value not in (None, "")}
    document = {"id": id_, "action": action, "args": given, "by": author()}
    try:
        store.put_request(name, json.dumps(document, ensure_ascii=False).encode())
    except VersionConflict:
        raise Problem(f"{_path(name)} holds a request that was not answered yet; try again, or remove it") from None
    except StoreUnavailable:
        pass  # nobody knows whether it was written: its answer will tell
    accepted, said = _await(services, store, name, id_, timeout)
    if not accepted:
        raise Problem(f"{action} is refused: {said}", FAILED)
    if output == "table":
        click.echo(f"{'all jobs' if name == GLOBAL else name}: {said}")
        return
    about = {"name": None if name == GLOBAL else name, "action": action, "args": given, "id": id_, "answer": said}
    render_output.write_data(about, output)


def _await(services: Services, store: JobStore, name: str, id_: str, timeout: float) -> tuple[bool, str]:
    """The answer; a request that nobody answers in time is taken back. Raises Problem."""
    deadline = services.monotonic() + timeout
    silence, told = Silence(), False
    while True:
        try:
            found = _answer(store, name, id_)
            if found is not None:
                return found
            if not told and store.load_leader() is None:
                note(NOBODY_LEADS)
                told = True
            silence.ended()
        except StoreUnavailable as error:
            silence.goes_on(error)
        if services.monotonic() >= deadline:
            why = "no replica leads" if told else "the leader did not answer; it may wait for Mesos"
            return _take_back(store, name, id_, format_duration(timeout), why)
        services.sleep(POLL_S)


def _take_back(store: JobStore, name: str, id_: str, waited: str, why: str) -> tuple[bool, str]:
    """The answer, if it came at the last moment. Raises Problem."""
    try:
        store.withdraw_request(name)
        found = _answer(store, name, id_)
    except StoreUnavailable as error:
        look = "weir events" if name == GLOBAL else f"weir events {name}"
        raise Problem(
            f"no answer after {waited}, and ZooKeeper does not answer ({error}): the request may still be carried "
            f"out; look before you ask again: {look}",
            TIMED_OUT,
        ) from None
    if found is None:
        raise Problem(f"no answer after {waited}, the request was taken back: {why}", TIMED_OUT)
    return found


def _answer(store: JobStore, name: str, id_: str) -> tuple[bool, str] | None:
    """Where answers are: in the status, in the job's record, or in the operator's own."""
    status = store.load_status(name) if name != GLOBAL else None
    if status is not None and status.last_request is not None and status.last_request.id == id_:
        return status.last_request.accepted, status.last_request.answer
    try:
        stored, operator = store.load_record(name), store.load_operator()
    except StoreUnavailable:
        raise
    except StoreError:
        return None  # the operator's memory is closed to this user; the status is not
    answers = stored.record.answers if isinstance(stored, StoredRecord) else ()
    answers += operator.record.answers if operator is not None and operator.record is not None else ()
    return next(((answer.accepted, answer.answer) for answer in answers if answer.id == id_), None)


def author() -> str:
    """Who asks, for events and answers."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"[:200]
    except (KeyError, OSError):
        return socket.gethostname()[:200]


def _path(name: str) -> str:
    return f"/control/{name}"
