"""The published JSON Schemas are current and describe what is really written."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from reconciler.model.operator import HeldJob, OperatorRecord
from reconciler.model.record import Pause, Record, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.status import LeaderInfo, Status
from state.codec import encode_leader, encode_operator, encode_record, encode_status
from state.schemas import render, schemas, write

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas"
SPEC = {"flinkVersion": "2.2", "job": {"type": "python", "uri": "/srv/job.py"}}


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_published_schema_is_current(name: str) -> None:
    assert (PUBLISHED / name).read_text(encoding="utf-8") == render(schemas()[name]), (
        "run: python -m state.schemas docs/schemas"
    )


def test_nothing_else_is_published_by_hand() -> None:
    ours = {
        "spec.json",
        "status.json",
        "record.json",
        "event.json",
        "leader-info.json",
        "control.json",
        "operator.json",
    }

    assert set(schemas()) == ours


def test_writing_creates_the_directory(tmp_path: Path) -> None:
    assert {path.name for path in write(tmp_path / "new")} == set(schemas())


def test_a_minimal_spec_and_its_full_form_fit_the_schema() -> None:
    jsonschema.validate(SPEC, schemas()["spec.json"])
    jsonschema.validate(
        JobSpec.model_validate(SPEC).model_dump(mode="json", by_alias=True),
        schemas()["spec.json"],
    )


def test_a_spec_with_an_unknown_field_does_not_fit() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(SPEC | {"invented": 1}, schemas()["spec.json"])


def test_what_the_codec_writes_fits_the_schemas() -> None:
    record = Record("orders", "0123456789", SpecRef(1, 0), spec=JobSpec.model_validate(SPEC))
    written = {
        "record.json": encode_record(record),
        "status.json": encode_status(Status(lifecycle="CREATED", why="new")),
        "leader-info.json": encode_leader(LeaderInfo(replica="a", host="h", pid=1), "c-1"),
        "operator.json": encode_operator(OperatorRecord(paused=Pause(1.0), held=(HeldJob("orders", 7),))),
        "control.json": b'{"action": "fence", "args": {"generation": 3}, "by": "ann"}',
    }

    for name, data in written.items():
        jsonschema.validate(json.loads(data), schemas()[name])
