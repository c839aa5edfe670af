"""`spread`: tasks of one job go to as many agents as possible, so that one host takes few of them along."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.resources import Candidate, TaskRequest


class Spread:
    """Fewest tasks of the job first, then the agent with the most left."""

    def rank(self, request: TaskRequest, candidate: Candidate) -> Sequence[float]:
        del request
        return (candidate.placed, -candidate.cpus, -candidate.mem_mb)
