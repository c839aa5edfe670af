"""`prefer-attribute`: agents with an attribute first, the others when those are full."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.resources import Candidate, TaskRequest


class PreferAttribute:
    """`placement.options`: `attribute`, and the `value` that it should have (absent: any)."""

    def rank(self, request: TaskRequest, candidate: Candidate) -> Sequence[float]:
        value = candidate.attributes.get(request.options.get("attribute", ""))
        wanted = request.options.get("value", value)
        preferred = value is not None and value == wanted
        return (0 if preferred else 1, candidate.placed, -candidate.cpus)
