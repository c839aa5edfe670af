"""`weir apply` and `weir validate`: files become desired state, or one line for each thing that is wrong."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from reconciler.app import render_output
from reconciler.app.cli_errors import USAGE, Problem
from reconciler.app.cli_jobs import tell_leader
from reconciler.app.cli_services import JobStore, Services, connected, note
from reconciler.app.cli_wait import LIFECYCLES, targets, timeout_option, wait_for
from reconciler.app.spec_file import parse_spec_file
from reconciler.diff import FieldChange, changes
from reconciler.model.events import RawSpec, StoredRecord
from reconciler.model.spec import JOB_NAME_MAX, JobSpec
from reconciler.model.spec_parse import SpecInvalid, check_job_name, parse_document, parse_spec
from reconciler.ports import StoreError, VersionConflict

MAX_FILE_BYTES = 1 << 20
"""More than any spec may have, comments included; a device or a log must not fill the memory first."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read and found valid."""

    name: str
    values: dict[str, Any]
    spec: JobSpec

    def encoded(self) -> bytes:
        """What is stored: what the user wrote, without the defaults, so that later defaults apply too."""
        return json.dumps(self.values, indent=1, ensure_ascii=False).encode()

    def keeping_nonces(self, before: JobSpec | None) -> Document:
        """With the nonces of what is there, where the file leaves them out.

        `weir savepoint` and `weir restart` raise them. Those requests were carried out; back to the
        default they would be one more.
        """
        if before is None:
            return self
        values = copy.deepcopy(self.values)
        if before.restart_nonce:
            values.setdefault("restartNonce", before.restart_nonce)
        if before.job.savepoint_trigger_nonce and isinstance(values.get("job"), dict):
            values["job"].setdefault("savepointTriggerNonce", before.job.savepoint_trigger_nonce)
        return Document(self.name, values, parse_document(self.name, values))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an apply did."""

    name: str
    result: Literal["created", "changed", "unchanged"]
    version: int
    changed: tuple[FieldChange, ...] = ()
    repaired: bool = False
    """What was there before was not valid, so there is nothing to compare with."""

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "result": self.result,
            "version": self.version,
            "changes": [
                {"path": each.path, "before": each.before, "after": each.after, "class": each.kind.name}
                for each in self.changed
            ],
        }


ABSENT = -1
"""As a version: there must be none."""


def _planned_version(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None or value == "new":
        return None if value is None else ABSENT
    if not value.isdigit():
        raise click.BadParameter(f'{value!r} is no version; write what weir plan printed, or "new"', context, parameter)
    return int(value)


def files_option(*, required: bool) -> Callable[[Any], Any]:
    return click.option(
        "-f",
        "--file",
        "files",
        required=required,
        multiple=True,
        metavar="FILE",
        help="YAML or JSON; - reads standard input. Repeatable.",
    )


name_option = click.option(
    "--name", help="Name of the job, of one file.  [default: the file's name without its ending]"
)


@click.command()
@files_option(required=True)
@name_option
@click.option(
    "--wait",
    is_flag=False,
    flag_value="",
    type=click.Choice(["", *LIFECYCLES], case_sensitive=False),
    metavar="[LIFECYCLE]",
    help="Wait until the job is STABLE (SUSPENDED if that is wanted), or in this lifecycle.",
)
@click.option(
    "--check-version",
    metavar="VERSION",
    callback=_planned_version,
    help="Only if the desired state still has this version, as weir plan printed it; new: only if there is none.",
)
@timeout_option
@render_output.output_option()
@connected
def apply(
    services: Services,
    files: tuple[str, ...],
    name: str | None,
    wait: str | None,
    check_version: int | None,
    timeout: float,
    output: str,
) -> None:
    """Write the desired state of jobs from YAML or JSON files, one for each job.

    All files are checked first; nothing is written if anything is wrong with one of them. They are
    then written in the order in which they are named. What is written is JSON, at ROOT/jobs/NAME, and
    only if nobody else has changed it meanwhile. The nonces that `weir savepoint` and `weir restart`
    raised stay as they are unless the file names them.

    With -o json: an object that says what was done; with several files, an array of them.
    """
    if check_version is not None and len(files) > 1:
        raise Problem("--check-version is of one job; apply the files one by one for it", USAGE)
    documents = read_all(files, name)
    with services.store() as store:
        _write_all(store, documents, check_version, output)
        tell_leader(store)
        if wait is not None:
            _wait_for_all(services, store, documents, wait, timeout)


def _write_all(store: JobStore, documents: Sequence[Document], check_version: int | None, output: str) -> None:
    """One after the other; the first that fails ends it, and what was done until then is told in any case."""
    done: list[Outcome] = []
    try:
        for document in documents:
            outcome = write(store, document, check_version)
            done.append(outcome)
            if output == "table":
                tell(outcome)
    except (Problem, StoreError):
        rest = [each.name for each in documents[len(done) + 1 :]]
        if rest:
            note(f"not written after that: {', '.join(rest)}")
        raise
    finally:
        found = [outcome.as_json() for outcome in done]
        if output != "table" and (found or len(documents) > 1):
            render_output.write_data(found if len(documents) > 1 else found[0], output)


def _wait_for_all(
    services: Services, store: JobStore, documents: Sequence[Document], wanted: str, timeout: float
) -> None:
    """For each of them, within one time; what became of the others is found out although one failed."""
    since = services.monotonic()
    failed: list[Problem] = []
    for document in documents:
        try:
            wait_for(services, store, document.name, targets(wanted, document.spec), timeout, since)
        except Problem as problem:
            failed.append(problem)
    if failed:
        raise Problem([line for problem in failed for line in problem.lines], failed[0].code)


@click.command()
@files_option(required=True)
@name_option
def validate(files: tuple[str, ...], name: str | None) -> None:
    """Check files without writing anything.

    What only the operator knows (its Flink versions, the size of the agents, files on them) is not
    checked here; a job that is refused for that says so in its status.
    """
    read_all(files, name, lambda file, document: click.echo(f"{file}: valid, as the job {document.name}"))


def read_all(
    files: Sequence[str], name: str | None, each_valid: Callable[[str, Document], None] = lambda _, __: None
) -> list[Document]:
    """All files, checked, each of another job. Raises Problem with a line for each thing that is wrong in any."""
    if name is not None and len(files) > 1:
        raise Problem("--name is of one job; name each file as its job instead, or take them one by one", USAGE)
    if "-" in files and len(files) > 1:
        raise Problem("standard input has no name beside other files; take it alone, with --name NAME", USAGE)
    documents: dict[str, Document] = {}
    wrong: list[Problem] = []
    for file in files:
        try:
            document = read(file, name)
            if document.name in documents:
                raise Problem(f'{file}: another file is of the job "{document.name}" too; name each job once', USAGE)
        except Problem as problem:
            wrong.append(problem)
        else:
            documents[document.name] = document
            each_valid(file, document)
    if wrong:
        raise Problem([line for problem in wrong for line in problem.lines], wrong[0].code)
    return list(documents.values())


def read(file: str, name: str | None) -> Document:
    """A file, checked. Raises Problem with a line for each thing that is wrong."""
    if file == "-":
        if name is None:
            raise Problem("standard input has no name; add --name NAME", USAGE)
        text, label = _decode(sys.stdin.buffer.read(MAX_FILE_BYTES + 1), "standard input"), "standard input"
    else:
        text, label = _decode(_bytes(Path(file)), file), file
        name = name or Path(file).stem
    _check_name(name, label)
    try:
        values = parse_spec_file(text)
        return Document(name, values, parse_document(name, values))
    except SpecInvalid as invalid:
        raise Problem([f"{label}: {error.sentence()}" for error in invalid.errors]) from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}; name a YAML or JSON file with -f") from None


def _decode(data: bytes, label: str) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise Problem(
            f"{label} is larger than {MAX_FILE_BYTES >> 10} KiB, so it is no job's spec; name another file with -f"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(f"{label} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _check_name(name: str, label: str) -> None:
    for error in check_job_name(name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower())[:JOB_NAME_MAX].strip("-") or "my-job"
        raise Problem(f"{label}: {error.message}; name the job yourself: --name {better}")


def write(store: JobStore, document: Document, planned: int | None = None) -> Outcome:
    """Compare with what is there and write it if it differs. Raises Problem when somebody was faster."""
    name, present = document.name, store.load_job(document.name)
    found = present.ref.version if present is not None else ABSENT
    if planned is not None and planned != found:
        said = "does not exist" if found == ABSENT else f"has version {found}"
        wanted = "to be new" if planned == ABSENT else f"at version {planned}"
        raise Problem(f'"{name}" {said}, but was planned {wanted}; nothing was written; plan again: weir plan')
    before = spec_of(present)
    document = document.keeping_nonces(before or accepted(store, present))
    if present is not None and before == document.spec:
        return Outcome(name, "unchanged", present.ref.version)
    try:
        version = store.put_job(name, document.encoded(), present.ref.version if present else None, create=not present)
    except VersionConflict:
        raise Problem(
            f'"{name}" was changed by somebody else at the same moment, nothing was written; '
            f"look at it (weir describe {name}) and apply again"
        ) from None
    if present is None:
        return Outcome(name, "created", version)
    if before is None:
        return Outcome(name, "changed", version, repaired=True)
    return Outcome(name, "changed", version, changes(before, document.spec))


def accepted(store: JobStore, present: RawSpec | None) -> JobSpec | None:
    """What was valid last, for a desired state that is not: a repair asks for nothing again either."""
    stored = store.load_record(present.name) if present is not None else None
    return stored.record.spec if isinstance(stored, StoredRecord) else None


def spec_of(present: RawSpec | None) -> JobSpec | None:
    """What is stored, if it is valid."""
    if present is None:
        return None
    try:
        return parse_spec(present.name, present.data)
    except SpecInvalid:
        return None


def tell(outcome: Outcome) -> None:
    click.echo(f"{outcome.name} {outcome.result}" + (" (what was there was not valid)" if outcome.repaired else ""))
    if outcome.changed:
        rows = [[each.path, _value(each.before), _value(each.after), each.kind.name] for each in outcome.changed]
        render_output.write_table(("FIELD", "BEFORE", "AFTER", "CLASS"), rows, indent=2)


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "-"
