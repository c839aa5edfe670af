"""`pack`: the fullest agent is filled first, so that whole agents stay free for large tasks."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.resources import Candidate, TaskRequest


class Pack:
    """The agent with the least left first: cpus before memory; then the one that holds most of the job."""

    def rank(self, request: TaskRequest, candidate: Candidate) -> Sequence[float]:
        del request
        return (candidate.cpus, candidate.mem_mb, -candidate.placed)
