"""How often Flink is asked."""

from __future__ import annotations

from typing import Any

from tests.bench.fleet import Fleet

SECONDS = 12


def _asked(jobs: int) -> list[str]:
    """Job ids in the order in which a leader of settled jobs asked about them."""
    fleet = Fleet(jobs)
    fleet.pass_time(30.0)
    asked: list[str] = []
    observe = fleet.world.flink.observe

    def counted(target: Any, *rest: Any) -> Any:
        asked.append(target.job_id)
        return observe(target, *rest)

    fleet.world.flink.observe = counted  # type: ignore[method-assign]
    for _ in range(SECONDS * 10):
        fleet.pass_time(0.1)
    return asked


def test_few_settled_jobs_are_asked_about_every_three_seconds() -> None:
    asked = _asked(10)
    assert len(asked) <= 10 * SECONDS / 3
    assert len(asked) >= 10 * (SECONDS / 3 - 1)


def test_many_settled_jobs_share_forty_polls_a_second_and_each_has_its_turn() -> None:
    asked = _asked(300)
    assert len(asked) <= 40 * SECONDS + 1
    assert len(set(asked)) == 300
