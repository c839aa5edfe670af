"""What is written is read back; what cannot be read says so in one sentence (fault 12)."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.record import SCHEMA_VERSION, Lifecycle, Record, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.model.status import JobEvent, LeaderInfo, Observed, SpecError, Status
from state.codec import (
    CodecError,
    NewerSchema,
    decode_events,
    decode_leader,
    decode_record,
    decode_status,
    encode_events,
    encode_leader,
    encode_record,
    encode_status,
)

durations = st.builds("{}{}".format, st.integers(0, 900), st.sampled_from(["ms", "s", "m", "h", "d"]))
sizes = st.builds("{}{}".format, st.integers(1, 4096), st.sampled_from(["m", "g"]))
names = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)

specs = st.fixed_dictionaries(
    {
        "flinkVersion": st.sampled_from(["1.20", "2.2", "2.3.0"]),
        "job": st.fixed_dictionaries(
            {"type": st.sampled_from(["python", "jar"]), "uri": st.text(min_size=1, max_size=20)},
            optional={"args": st.lists(st.text(max_size=8), max_size=3), "parallelism": st.integers(1, 99)},
        ),
    },
    optional={
        "env": names,
        "flinkConfiguration": names,
        "taskManager": st.fixed_dictionaries({"cpus": st.floats(0.01, 64), "memory": sizes}),
        "restart": st.fixed_dictionaries({"initialBackoff": durations, "jitter": st.floats(0, 1)}),
        "snapshots": st.fixed_dictionaries({"maxAge": durations, "interval": st.none() | durations}),
        "placement": st.fixed_dictionaries({"constraints": st.lists(st.lists(st.text(max_size=5), max_size=3))}),
    },
).map(lambda document: JobSpec.model_validate_json(json.dumps(document)))


def whole(kind: type[Any]) -> st.SearchStrategy[Any]:
    """A dataclass with every field drawn, not only those without a default."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: _drawn(hints[field.name]) for field in dataclasses.fields(kind)})


def _drawn(hint: Any) -> st.SearchStrategy[Any]:
    if hint is JobSpec:
        return specs
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if dataclasses.is_dataclass(hint):
        return whole(typing.cast("type[Any]", hint))
    if typing.get_origin(hint) is tuple:
        return st.lists(_drawn(typing.get_args(hint)[0]), max_size=2).map(tuple)
    if typing.get_origin(hint) is dict:
        return names
    if typing.get_args(hint):
        return st.one_of([_drawn(part) for part in typing.get_args(hint)])
    return st.from_type(hint)


records = whole(Record).map(lambda record: dataclasses.replace(record, schema=SCHEMA_VERSION))

RECORD = Record("orders", "0123456789", SpecRef(7, 0), Lifecycle.STABLE)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(records)
def test_any_record_is_read_back_as_it_was(record: Record) -> None:
    assert decode_record(encode_record(record), record.name) == record


@settings(max_examples=100, deadline=None)
@given(specs)
def test_the_spec_inside_a_record_is_read_back_exactly(spec: JobSpec) -> None:
    record = dataclasses.replace(RECORD, spec=spec)

    read = decode_record(encode_record(record))

    assert read.spec == spec
    assert encode_record(read) == encode_record(record)


def test_a_record_has_json_names_and_units() -> None:
    spec = JobSpec.model_validate({"flinkVersion": "2.2", "job": {"type": "jar", "uri": "/srv/a.jar"}})

    document = json.loads(encode_record(dataclasses.replace(RECORD, stable_spec=spec)))

    assert document["nextAttempt"] == 1
    assert document["lifecycle"] == "STABLE"
    assert document["schema"] == SCHEMA_VERSION
    assert document["stableSpec"]["health"]["launchTimeout"] == "2m"
    assert document["stableSpec"]["taskManager"]["memory"] == "1g"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"name":"orders"}', b"17", b'{"schema":true}', b"[" * 100_000],
)
def test_f12_junk_is_a_codec_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(CodecError, match="cannot be read"):
        decode_record(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_f12_arbitrary_bytes_only_ever_raise_a_codec_error(data: bytes) -> None:
    for decode in (decode_record, decode_status, decode_events, decode_leader):
        try:
            decode(data)
        except CodecError:
            continue


def test_f60_a_newer_record_is_refused_even_when_it_would_fit() -> None:
    newer = dataclasses.replace(RECORD, schema=SCHEMA_VERSION + 1)

    with pytest.raises(NewerSchema, match=f"schema version {SCHEMA_VERSION + 1}"):
        decode_record(encode_record(newer))


def test_f60_a_newer_record_of_another_shape_is_named_as_newer() -> None:
    with pytest.raises(NewerSchema):
        decode_record(json.dumps({"schema": SCHEMA_VERSION + 1, "everything": "else"}).encode())


def test_f12_an_unknown_field_is_not_dropped_silently() -> None:
    document = json.loads(encode_record(RECORD)) | {"invented": 1}

    with pytest.raises(CodecError, match="invented"):
        decode_record(json.dumps(document).encode())


def test_f12_a_record_under_another_jobs_name_is_refused() -> None:
    with pytest.raises(CodecError, match='belongs to the job "orders"'):
        decode_record(encode_record(RECORD), "payments")


def test_a_status_is_read_back_and_reads_well() -> None:
    status = Status(lifecycle="STABLE", why="running", observed=Observed(czxid=3, version=1), leader_epoch=4)

    data = encode_status(status)

    assert decode_status(data) == status
    assert b'\n "leaderEpoch": 4' in data


def test_a_history_is_read_back_and_no_bytes_are_no_history() -> None:
    events = (JobEvent(time="2026-01-01T00:00:00Z", code="CREATED", message="seen", count=3),)

    assert decode_events(encode_events(events)) == events
    assert decode_events(b"") == ()


def test_the_leader_info_carries_the_election_node() -> None:
    info = LeaderInfo(replica="a", host="h", pid=1, epoch=3)

    assert decode_leader(encode_leader(info, "c-1")) == (info, "c-1")


def test_a_spec_error_reads_as_one_sentence() -> None:
    error = SpecError(path="job.uri", message="is empty", hint="name a file")

    assert error.sentence() == "job.uri: is empty (name a file)"
