"""Reason codes: each is documented, each is used, and the page says the same."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.app.reason_reference import write
from reconciler.model.reasons import MEANINGS, Reason
from reconciler.model.record import EndReason, Lifecycle

ROOT = Path(__file__).resolve().parents[3]


def test_every_code_has_a_meaning_and_its_name_is_its_value() -> None:
    assert set(MEANINGS) == set(Reason)
    assert all(reason.name == reason.value for reason in Reason)


def test_every_lifecycle_and_every_way_to_end_has_its_codes() -> None:
    names = {reason.value for reason in Reason}
    assert {each.value for each in Lifecycle} <= names
    assert {f"{each.value}_{what}" for each in EndReason for what in ("BEGUN", "ENDED")} <= names


def test_no_code_is_there_that_nothing_tells() -> None:
    said = "\n".join(path.read_text() for path in (ROOT / "reconciler").glob("*.py"))
    used = set(re.findall(r"Reason\.([A-Z_]+)", said)) | {each.value for each in Lifecycle}
    used |= {f"{each.value}_{what}" for each in EndReason for what in ("BEGUN", "ENDED")}
    assert {reason.value for reason in Reason} - used == set()


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert page == "\n".join(write()) + "\n", "run: make schemas"
