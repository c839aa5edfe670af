"""`weir backup` and `weir restore`: a whole installation as one file."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.app.cli_edit import can_ask
from reconciler.app.cli_errors import USAGE, Problem
from reconciler.app.cli_request import author
from reconciler.app.cli_services import Services, connected, note

if TYPE_CHECKING:
    from state.backup import Backup
    from state.layout import Layout
    from state.restore import Present

MAX_FILE_BYTES = 1 << 30
"""More than the tree of any ensemble; a device or a log must not fill the memory first."""


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@connected
def backup(services: Services, file: str, force: bool) -> None:
    """Write the whole installation into one file; - is standard output.

    The file holds the desired states, records and histories of all jobs, the operator's record, the framework id
    and the schema version. It does not hold the epoch, which must never go back, and no checkpoints: back up the
    storage too. Jobs and replicas go on meanwhile.
    """
    path = None if file == "-" else Path(file)
    if path is not None and not force and path.exists():
        raise Problem(f"{path} exists already; name another file, or replace it with --force", USAGE)
    from state.backup import encode, summary, take

    layout = _layout(services)
    with services.znodes() as znodes:
        taken = take(znodes, layout, _time(services.now()), metadata.version("weir"))
    data = encode(taken)
    if path is None:
        sys.stdout.buffer.write(data)
        return
    _write(path, data)
    click.echo(f"{path}: {', '.join(summary(taken))}, {len(data)} bytes")


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace an installation that is there: a leader, jobs or records.")
@click.option("-y", "--yes", is_flag=True, help="With --force: do not ask.")
@click.option("--no-pause", is_flag=True, help="Let the next leader act at once.")
@connected
def restore(services: Services, file: str, force: bool, yes: bool, no_pause: bool) -> None:
    """Put a backup into ZooKeeper; - is standard input.

    The tree becomes what the backup says: jobs that it does not know are removed from the tree, and their tasks are
    left alone. No replica leads before all of it is there. A restore that was interrupted is run again.

    A backup is of the past. So everything is paused until `weir unpause --all`: look first whether a job has a newer
    savepoint or checkpoint than its record knows. A job whose tasks are newer than its record is BLOCKED then, and
    nothing of it is touched.
    """
    read, checksum = _read(file)
    from reconciler.model.record import Pause
    from state.restore import inspect
    from state.restore import restore as put

    layout = _layout(services)
    with services.znodes() as znodes:
        _allow(inspect(znodes, layout), layout, checksum, force=force, yes=yes)
        if read.root != layout.root:
            note(
                f"the backup is of {read.root}, and is restored to {layout.root}: both are one framework for Mesos, so "
                f"stop the replicas of {read.root} before any of {layout.root} is started"
            )
        pause = Pause(services.now(), author(), f"restored from the backup of {read.time}")
        done = put(znodes, layout, read, checksum, None if no_pause else pause)
    if done.removed:
        note(f"not in the backup, and removed: {', '.join(done.removed)}; their tasks are left alone")
    click.echo(f"{layout.root}: {done.jobs} jobs, {done.records} records restored, as of {read.time}")
    if not no_pause:
        click.echo("everything is paused; compare with what is in storage, then: weir unpause --all")


def _layout(services: Services) -> Layout:
    from state.layout import Layout

    return Layout(services.path())


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing, for its owner only: specs hold what users wrote into them."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
            try:
                part.write(data)
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).replace(path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise Problem(f"cannot write {path}: {error.strerror}; name another file") from None


def _read(file: str) -> tuple[Backup, str]:
    from state.backup import BackupError, decode

    label = "standard input" if file == "-" else file
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Problem(f"cannot read {file}: {error.strerror}; name a file that weir backup wrote") from None
    if len(data) > MAX_FILE_BYTES:
        raise Problem(f"{label} is larger than {MAX_FILE_BYTES >> 20} MiB, so it is no backup of Weir")
    try:
        return decode(data)
    except BackupError as error:
        raise Problem(f"{label} cannot be restored: {error}") from None


def _allow(present: Present, layout: Layout, checksum: str, *, force: bool, yes: bool) -> None:
    """Refuse to replace what is there unless that was said."""
    if present.restoring == checksum:
        note("a restore of this backup was interrupted here; it is done again")
        return
    if present.empty and present.restoring is None:
        return
    there = f"{present.jobs} jobs and {present.records} records"
    if present.leader is not None:
        there += f", led by {present.leader}"
    if present.restoring is not None:
        there += ", of another backup whose restore was interrupted"
    if not force:
        raise Problem(f"{layout.root} has {there}; to replace all of it: --force", USAGE)
    if yes:
        return
    if not can_ask():
        raise Problem(f"replacing {layout.root} needs a yes, and nobody can be asked here; add --yes", USAGE)
    typed = click.prompt(f"{layout.root} has {there}. Type {layout.root} to replace all of it", err=True)
    if typed.strip() != layout.root:
        raise Problem(f'"{typed}" is not {layout.root}; nothing was written', USAGE)
