"""Edits of one field of a desired state, on the document as its author wrote it. Pure.

Only the field that the edit is about changes; what the document does not say stays unsaid, so that
defaults of a later version still apply to it. The commands and the HTTP API share them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.spec import JobSpec
from reconciler.model.spec_parse import SpecInvalid, parse_spec

Change = Callable[[dict[str, Any], JobSpec], int | None]
"""Changes a document; what a number became, or None when nothing needs to change."""


class CannotEdit(Exception):
    """Why the document cannot be changed like this, a line for each reason; `hint` says what to do."""

    def __init__(self, *lines: str, hint: str | None = None) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Edited:
    """A document after its edit."""

    data: bytes
    spec: JobSpec
    value: int
    """What the number that the edit is about became; 0 when nothing had to change."""


def edited(name: str, data: bytes, change: Change) -> Edited:
    """The document of the job `name` after `change`. Raises CannotEdit."""
    try:
        spec = parse_spec(name, data)
    except SpecInvalid as invalid:
        first = invalid.errors[0].sentence()
        raise CannotEdit(
            f"its desired state is not valid, correct it first: {first}", hint="weir apply -f FILE"
        ) from None
    document: dict[str, Any] = json.loads(data)
    value = change(document, spec)
    if value is None:
        return Edited(data, spec, 0)
    after = _encode_like(data, document)
    try:
        return Edited(after, parse_spec(name, after), value)
    except SpecInvalid as invalid:
        raise CannotEdit(*(error.sentence() for error in invalid.errors)) from None


def scaled(parallelism: int) -> Change:
    """The parallelism of the job."""

    def change(document: dict[str, Any], spec: JobSpec) -> int | None:
        if spec.job.parallelism == parallelism:
            return None
        _job(document)["parallelism"] = parallelism
        return parallelism

    return change


def _state(wanted: str) -> Change:
    def change(document: dict[str, Any], spec: JobSpec) -> int | None:
        job = _job(document)
        if spec.job.state == wanted:
            return None
        job["state"] = wanted
        return 1

    return change


def savepoint(document: dict[str, Any], spec: JobSpec) -> int | None:
    """A savepoint on demand: the nonce of a suspended job would be answered long after, when it runs again."""
    job = _job(document)
    if spec.job.state != "running":
        raise CannotEdit("it is suspended: it has no running job to take a savepoint of", hint="resume it first")
    return _next(job, "savepointTriggerNonce")


def restart(document: dict[str, Any], _: JobSpec) -> int | None:
    """Another generation of the same."""
    return _next(document, "restartNonce")


suspend = _state("suspended")
resume = _state("running")


def _job(document: dict[str, Any]) -> dict[str, Any]:
    if "job" not in document:
        raise CannotEdit("it is a session and has no job of its own", hint="name one of its jobs")
    job: dict[str, Any] = document["job"]
    return job


def _next(place: dict[str, Any], nonce: str) -> int:
    value: int = place.get(nonce, 0) + 1
    place[nonce] = value
    return value


def _encode_like(before: bytes, document: Mapping[str, Any]) -> bytes:
    """JSON in the layout of what was there: on one line, or indented as deeply."""
    found = re.search(rb"\n([ \t]+)\S", before)
    if found is None:
        tight = b'":"' in before or b'":{' in before
        separators = (",", ":") if tight else (", ", ": ")
        return json.dumps(document, ensure_ascii=False, separators=separators).encode()
    return json.dumps(document, ensure_ascii=False, indent=found[1].decode()).encode()
