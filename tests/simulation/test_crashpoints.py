"""The leader crashes after every single call that it makes, and the outcome is that of a run without crashes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.simulation import crashpoints


@pytest.mark.parametrize("steps", crashpoints.WORKLOADS, ids="-".join)
def test_f17_f18_f42_a_crash_after_any_call_changes_nothing_in_the_end(steps: Sequence[str]) -> None:
    results = crashpoints.enumerate_points(steps)
    broken = {number: result.violations for number, result in results.items() if result.violations}
    assert len(results) > 40
    assert not broken
