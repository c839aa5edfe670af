"""Edits of one field of a desired state, as the commands and the API do them."""

from __future__ import annotations

import json

import pytest

from reconciler.app import edit
from reconciler.app.edit import CannotEdit, edited

WRITTEN = b'{"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///q.py", "args": ["\xc3\xa4"]}}'


def test_only_what_is_said_changes_in_the_document() -> None:
    assert json.loads(edited("orders", WRITTEN, edit.restart).data) == {**json.loads(WRITTEN), "restartNonce": 1}

    suspended = edited("orders", WRITTEN, edit.suspend)
    assert json.loads(suspended.data)["job"] == {**json.loads(WRITTEN)["job"], "state": "suspended"}
    assert (suspended.value, suspended.spec.job.state) == (1, "suspended")
    assert "state" not in json.loads(WRITTEN)["job"]


def test_the_layout_stays_as_its_author_has_it() -> None:
    indented = json.dumps(json.loads(WRITTEN), indent=3).encode()
    tight = json.dumps(json.loads(WRITTEN), separators=(",", ":")).encode()

    assert b'\n   "restartNonce": 1' in edited("orders", indented, edit.restart).data
    assert b',"restartNonce":1}' in edited("orders", tight, edit.restart).data


def test_what_is_so_already_changes_nothing() -> None:
    assert edited("orders", WRITTEN, edit.resume).value == 0
    assert edited("orders", WRITTEN, edit.resume).data == WRITTEN
    assert edited("orders", edited("orders", WRITTEN, edit.scaled(3)).data, edit.scaled(3)).value == 0


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"flinkVersion": "2.2", "job": 1}',
        b"[" * 100_000,
        WRITTEN.replace(b'"args"', b'"savepointTriggerNonce": "a", "args"'),
    ],
    ids=["half", "list", "text", "no-job", "deep", "text-as-number"],
)
def test_a_document_that_cannot_be_edited_is_refused(document: bytes) -> None:
    with pytest.raises(CannotEdit):
        edited("orders", document, edit.savepoint)


@pytest.mark.parametrize("change", [edit.savepoint, edit.suspend, edit.resume, edit.scaled(2)])
def test_a_session_has_no_job_to_act_on(change: edit.Change) -> None:
    session = b'{"kind": "Session", "flinkVersion": "2.2"}'

    with pytest.raises(CannotEdit, match="has no job"):
        edited("shared", session, change)


def test_a_suspended_job_has_nothing_to_take_a_savepoint_of() -> None:
    suspended = edited("orders", WRITTEN, edit.suspend).data

    with pytest.raises(CannotEdit, match="it is suspended: it has no running job"):
        edited("orders", suspended, edit.savepoint)
