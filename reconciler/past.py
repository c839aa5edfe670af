"""The generations that a job had: kept so that people can look back, and go back."""

from __future__ import annotations

from reconciler.model.record import PastGeneration
from reconciler.turn import Turn

KEPT = 10
KEPT_BYTES = 64 * 1024
"""Of specs as JSON: a record has to fit into one znode, and the history must never be what breaks that."""


def keep(turn: Turn) -> None:
    """Remember the generation that is being forgotten; the oldest give way."""
    record, generation = turn.record, turn.generation
    if any(old.number == generation.number for old in record.history):
        return
    ended = PastGeneration(
        generation.number,
        generation.spec,
        generation.started_at,
        turn.now,
        generation.ending.reason.value if generation.ending is not None else generation.terminal or "",
        generation.restore.path if generation.restore is not None else None,
        record.stable_spec == generation.spec,
    )
    kept: list[PastGeneration] = []
    size = 0
    for old in (ended, *reversed(record.history)):
        size += len(old.spec.model_dump_json())
        if len(kept) == KEPT or size > KEPT_BYTES:
            break
        kept.append(old)
    turn.update(history=tuple(reversed(kept)))
