"""What anybody could have written into a znode: understood, or refused with a sentence, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.control import Action, RawRequest, parse_request
from reconciler.model.record import Record, SpecRef
from state.codec import CodecError, decode_events, decode_leader, decode_operator, decode_record, decode_status
from state.codec import encode_record as encode

REF = SpecRef(7, 0)
RECORD = json.loads(encode(Record("orders", "0123456789", REF)))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4),
    max_leaves=12,
)
junk = st.binary(max_size=120) | json_values.map(lambda value: json.dumps(value).encode())
deep = st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000, b"\xed\xa0\x80", b"\xff\xfe{}", b"NaN"])
_FIELDS = sorted({*RECORD, "schema", "action", "args", "by", "id", "time", "code", "message", "lifecycle", "epoch"})
near = st.dictionaries(st.sampled_from(_FIELDS), json_values, max_size=6)


def said(decode: Callable[..., Any], *arguments: Any) -> str:
    """What it was refused with; any other exception goes through."""
    try:
        decode(*arguments)
    except CodecError as error:
        return str(error)
    return "it was read"


@pytest.mark.parametrize("decode", [decode_record, decode_status, decode_events, decode_operator, decode_leader])
def test_f12_bytes_of_anybody_are_read_or_refused(decode: Callable[[bytes], Any]) -> None:
    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
    @given(junk | deep | near.map(lambda value: json.dumps(value).encode()))
    def hostile(data: bytes) -> None:
        assert said(decode, data).isprintable()

    hostile()


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(near)
def test_f12_a_record_with_fields_of_anybody_is_read_or_refused(change: dict[str, Any]) -> None:
    assert said(decode_record, json.dumps({**RECORD, **change}).encode(), "orders")


request_like = st.fixed_dictionaries(
    {"action": st.sampled_from([action.value for action in Action]) | json_values},
    optional={
        "args": json_values
        | st.dictionaries(
            st.sampled_from(["reason", "held", "generation", "path", "latest", "empty"]), json_values, max_size=4
        ),
        "by": json_values,
        "id": json_values,
        "time": json_values,
        "surplus": json_values,
    },
)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(junk | deep | request_like.map(lambda value: json.dumps(value).encode()), st.sampled_from(["orders", "_global"]))
def test_f51_a_request_of_anybody_is_understood_or_answered_with_a_sentence(data: bytes, name: str) -> None:
    asked = parse_request(RawRequest(name, REF, data))

    assert (asked.request is None) == bool(asked.error)
    assert len(asked.error) < 2000
    asked.error.encode()
    assert asked.id.encode()


def test_a_request_that_weir_may_not_read_is_answered() -> None:
    assert "does not let Weir read it" in parse_request(RawRequest("orders", REF, b"", unreadable=True)).error
