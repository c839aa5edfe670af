"""How a replica collects garbage."""

from __future__ import annotations

import gc

from reconciler.app.runner import FULL_COLLECTION_AFTER, collect_rarely


def test_full_collections_are_rare_and_young_ones_as_they_were() -> None:
    before = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.get_threshold() == (before[0], before[1], FULL_COLLECTION_AFTER)
    finally:
        gc.set_threshold(*before)
