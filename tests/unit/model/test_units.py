"""Durations and sizes keep their value through text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.units import format_duration, format_memory, parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("1.5h", 5400.0), ("7d", 604800.0), ("2 min", 120.0), ("0s", 0.0)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("seconds", [0.0, 0.5, 0.333, 1.0, 90.0, 5400.0, 1.2345678, 1e-9, 1234567.25])
def test_the_text_of_a_duration_is_exact(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(min_value=0, max_value=3e8))
def test_any_duration_survives_its_text(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=64 * 1024 * 1024))
def test_any_size_survives_its_text(mib: int) -> None:
    assert parse_memory(format_memory(mib)) == mib


@pytest.mark.parametrize("text", ["", "10", "ten s", "-1s", "1e3s", "10 parsecs", "20000d"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)
