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
    """Why the document cannot be changed like this, a line for each reason."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


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
        raise CannotEdit(f"its desired state is not valid, correct it first: {first}") from None
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
        document["job"]["parallelism"] = parallelism
        return parallelism

    return change


def _state(wanted: str) -> Change:
    def change(document: dict[str, Any], spec: JobSpec) -> int | None:
        if spec.job.state == wanted:
            return None
        document["job"]["state"] = wanted
        return 1

    return change


def _next_nonce(*path: str) -> Change:
    def change(document: dict[str, Any], spec: JobSpec) -> int | None:
        del spec
        place = document
        for key in path[:-1]:
            if key not in place:
                raise CannotEdit(f"it has no {key}, so there is nothing to ask for")
            place = place[key]
        value: int = place.get(path[-1], 0) + 1
        place[path[-1]] = value
        return value

    return change


savepoint = _next_nonce("job", "savepointTriggerNonce")
restart = _next_nonce("restartNonce")
suspend = _state("suspended")
resume = _state("running")


def _encode_like(before: bytes, document: Mapping[str, Any]) -> bytes:
    """JSON in the layout of what was there: on one line, or indented as deeply."""
    found = re.search(rb"\n([ \t]+)\S", before)
    if found is None:
        tight = b'":"' in before or b'":{' in before
        separators = (",", ":") if tight else (", ", ": ")
        return json.dumps(document, ensure_ascii=False, separators=separators).encode()
    return json.dumps(document, ensure_ascii=False, indent=found[1].decode()).encode()
