"""How docs/tutorial.md is compared with what its commands print (tests/e2e/test_tutorial.py runs them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.tutorial import missing, steps

PAGE = Path(__file__).parents[3] / "docs" / "tutorial.md"
HOME = "/tmp/elsewhere"


def test_every_block_of_the_page_is_run_or_compared() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = steps(text)

    assert text.count("```") == 2 * (len(found) + sum(bool(step.printed) for step in found))
    assert sum(bool(step.printed) for step in found) > 15


def test_an_output_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1: this output stands behind no command"):
        steps("```text\nhello\n```\n")


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("even-ids  STABLE  2  savepoint 3s ago", "even-ids   STABLE    4   savepoint 1m5s ago"),
        ("  2026-11-23T20:18:12Z   STABLE  running", "2027-01-02T03:04:05Z STABLE running"),
        ("agent-1  JobManager  even-ids.7d9037fb15.2.jm.0.3", "agent-2 JobManager even-ids.b15e4d0608.2.jm.0.13"),
        ("file:/home/ann/x/savepoint-a4cb7f-bf8088159356", f"file:{HOME}/x/savepoint-17a49d-2a0733057e72"),
        ("started from file:/home/ann/…   none", f"started from file:{HOME}/a/b/c none"),
    ],
)
def test_what_differs_between_two_runs_is_compared_by_its_form(shown: str, printed: str) -> None:
    assert missing((shown,), f"before\n{printed}\nbehind", HOME) == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("even-ids is STABLE", "even-ids is FAILED"),
        ("exit code 1", "exit code none"),
        ("running", "running; waiting"),
        ("nothing is left on agent-1", ""),
    ],
)
def test_what_is_not_printed_is_noticed(shown: str, printed: str) -> None:
    assert missing((shown,), printed, HOME) == [shown]


def test_the_order_counts_and_lines_between_do_not() -> None:
    assert missing(("first", "second"), "first\nother\nsecond", HOME) == []
    assert missing(("first", "second"), "second\nfirst", HOME) == ["second"]
