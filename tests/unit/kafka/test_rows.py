"""The comparison of the topics sees every way in which rows can be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.app.demo_kafka.rows import Row, compare

INPUT = [Row(n, f"line {n}") for n in range(1, 11)]
EVENS = [row for row in INPUT if row.id % 2 == 0]


def test_every_even_row_once_in_any_order_is_complete() -> None:
    found = compare(INPUT, reversed(EVENS))
    assert found.complete
    assert (found.rows, found.expected, found.committed) == (10, 5, 5)


def test_a_row_that_is_not_there_is_missing() -> None:
    found = compare(INPUT, EVENS[1:])
    assert not found.complete
    assert (found.missing, found.duplicated, found.unexpected) == (1, 0, 0)


def test_a_row_that_is_there_twice_is_duplicated() -> None:
    found = compare(INPUT, [*EVENS, EVENS[0]])
    assert not found.complete
    assert (found.missing, found.duplicated, found.unexpected) == (0, 1, 0)


@pytest.mark.parametrize("row", [INPUT[0], Row(12, "line 12")], ids=["an odd one", "one that never went in"])
def test_any_other_row_is_unexpected(row: Row) -> None:
    found = compare(INPUT, [*EVENS, row])
    assert not found.complete
    assert (found.missing, found.duplicated, found.unexpected) == (0, 0, 1)


def test_a_changed_value_is_one_missing_and_one_unexpected() -> None:
    found = compare(INPUT, [*EVENS[1:], Row(2, "something else")])
    assert (found.missing, found.duplicated, found.unexpected) == (1, 0, 1)


def test_rows_that_went_in_twice_come_out_twice() -> None:
    assert compare(INPUT * 2, EVENS * 2).complete
    assert compare(INPUT * 2, EVENS).missing == 5


@given(st.lists(st.sampled_from(INPUT)), st.lists(st.sampled_from([*INPUT, Row(99, "x")])))
def test_the_numbers_add_up(source: list[Row], sink: list[Row]) -> None:
    found = compare(source, sink)
    assert found.committed == found.expected - found.missing + found.duplicated + found.unexpected


@given(st.integers(-(2**31), 2**31 - 1), st.text())
def test_a_row_survives_its_encoding(number: int, value: str) -> None:
    assert Row.decode(Row(number, value).encode()) == Row(number, value)


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"",
        b"[]",
        b"7",
        b'{"id": 1}',
        b'{"id": "1", "value": "a"}',
        b'{"id": true, "value": "a"}',
        b'{"id": 1, "value": null}',
        b'{"id": 1, "value": "a", "more": 0}',
        b"\xff",
    ],
)
def test_what_is_no_row_is_refused_with_the_record(record: bytes | None) -> None:
    with pytest.raises(ValueError, match="not a row") as refused:
        Row.decode(record)
    assert repr(record) in str(refused.value)
