"""Small edits of a desired state, on the document as its author wrote it. Pure.

Only the field that the edit is about changes; what the document does not say stays unsaid, so that
defaults of a later version still apply to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class CannotEdit(Exception):
    """Why the document cannot be changed like this."""


def edited(data: bytes, action: str) -> bytes:
    """The document after `savepoint`, `restart`, `suspend` or `resume`. Raises CannotEdit."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise CannotEdit("its desired state is not JSON") from None
    if not isinstance(document, dict):
        raise CannotEdit("its desired state is not a JSON object")
    _EDITS[action](document)
    return json.dumps(document, ensure_ascii=False).encode()


def _job(document: dict[str, Any]) -> dict[str, Any]:
    job = document.get("job")
    if not isinstance(job, dict):
        raise CannotEdit("it has no job, so there is nothing to take a savepoint of or to suspend")
    return job


def _next(holder: dict[str, Any], field: str) -> None:
    before = holder.get(field, 0)
    if not isinstance(before, int) or isinstance(before, bool):
        raise CannotEdit(f"{field} is no whole number")
    holder[field] = before + 1


def _suspend(document: dict[str, Any]) -> None:
    if _job(document).get("state") == "suspended":
        raise CannotEdit("it is to be suspended already")
    _job(document)["state"] = "suspended"


def _resume(document: dict[str, Any]) -> None:
    if _job(document).get("state", "running") == "running":
        raise CannotEdit("it is to run already")
    _job(document)["state"] = "running"


_EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "savepoint": lambda document: _next(_job(document), "savepointTriggerNonce"),
    "restart": lambda document: _next(document, "restartNonce"),
    "suspend": _suspend,
    "resume": _resume,
}
