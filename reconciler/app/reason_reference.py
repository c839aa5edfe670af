"""Writes docs/events.md from the enumeration of reason codes.

python -m reconciler.app.reason_reference > docs/events.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from reconciler.model.reasons import MEANINGS

_HEAD = """# Events

Written from `reconciler/model/reasons.py`; `make schemas` writes it again.

What Weir does to a job, and why, is in the job's history: `weir events NAME` (with `--follow`), the job's page, and the
znode `events/NAME`. It is kept for the latest 200 entries, equal neighbours are counted instead of repeated, and it
survives every change of leader. Each entry has a time, a reason code, a message for people, the generation and the
leader's epoch. A code is never renamed, so alerts may go by it (`weir_job_events_total{code="..."}`).

The codes that `status.blocked` may have are marked with *.

| code | what it tells |
| --- | --- |"""
_OF_BLOCKED = ("RESTORE_BLOCKED", "RESTARTS_EXHAUSTED", "ROLLBACK_FAILED", "RECORD_TOO_OLD")


def write() -> Iterator[str]:
    """The lines of the page."""
    yield _HEAD
    for reason, meaning in MEANINGS.items():
        mark = r"\*" if reason.value in _OF_BLOCKED else ""
        yield f"| `{reason.value}`{mark} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(write()) + "\n")
