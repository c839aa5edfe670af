"""Maintenance windows of the fake Mesos: inverse offers to frameworks that hold tasks on an agent with one.

An inverse offer stands until it is answered or rescinded. Whatever the answer was, the next one comes when
its filter is over, as long as the window is scheduled and the framework holds something there (Mesos docs,
"Maintenance Primitives"; the default filter of an answer is 5 s). A real master also asks frameworks that
were only offered something there; that is not played here, since the answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from integration.mesos.fake_agents import AgentSide
from integration.mesos.fake_state import AgentStatus, FakeAgent, FakeFramework
from reconciler.model.events import InverseOfferRescinded, InverseOffersReceived
from reconciler.model.resources import InverseOffer


class MaintenanceSide(AgentSide):
    """The schedule and the inverse offers of it; `FakeMesos` adds the rest of the master."""

    frameworks: dict[str, FakeFramework]
    _inverse: dict[str, tuple[str, str]]
    """Inverse offers that wait for an answer: framework and agent by id."""
    _inverse_filters: dict[tuple[str, str], float]
    """By framework and agent: until when no further one is sent."""
    agreed: dict[tuple[str, str], bool]
    """By framework and agent: the last answer, True for an acceptance."""

    def _number(self) -> int:
        raise NotImplementedError

    def schedule_maintenance(self, agent_id: str, start: float | None, duration_s: float | None = None) -> None:
        """Give the agent a window from `start` on, or none; offers and inverse offers of it are rescinded."""
        agent = self.agents[agent_id]
        agent.unavailable_from, agent.unavailable_s = start, duration_s
        self._rescind_agent(agent_id)
        for inverse_id, (framework_id, agent_of) in list(self._inverse.items()):
            if agent_of == agent_id:
                del self._inverse[inverse_id]
                self._emit(framework_id, InverseOfferRescinded(inverse_id))
        for key in [key for key in self._inverse_filters if key[1] == agent_id]:
            del self._inverse_filters[key]

    def _offer_inversely(self) -> None:
        for framework in sorted(self.frameworks.values(), key=lambda f: f.id):
            if framework.cluster is None:
                continue
            found = tuple(
                self._inverse_offer(framework, agent)
                for agent in self.agents.values()
                if agent.unavailable_from is not None and agent.status is AgentStatus.REGISTERED
                if any(task.framework_id == framework.id and task.state.alive for task in agent.tasks.values())
                if (framework.id, agent.id) not in self._inverse.values()
                if self._inverse_filters.get((framework.id, agent.id), 0.0) <= self.now
            )
            if found:
                self._emit(framework.id, InverseOffersReceived(found))

    def _inverse_offer(self, framework: FakeFramework, agent: FakeAgent) -> InverseOffer:
        assert agent.unavailable_from is not None
        inverse_id = f"inverse-{self._number():06d}"
        self._inverse[inverse_id] = (framework.id, agent.id)
        return InverseOffer(inverse_id, agent.id, agent.unavailable_from, agent.unavailable_s)

    def _answer_inverse(
        self, framework: FakeFramework, inverse_ids: Sequence[str], refuse_seconds: float, agreed: bool
    ) -> None:
        for inverse_id in inverse_ids:
            key = self._inverse.get(inverse_id)
            if key is None or key[0] != framework.id:
                continue
            del self._inverse[inverse_id]
            self.agreed[key] = agreed
            self._inverse_filters[key] = self.now + refuse_seconds

    def _drop_inverse(self, framework_id: str) -> None:
        """A scheduler is gone: inverse offers die with its subscription, and so do their filters."""
        self._inverse = {i: key for i, key in self._inverse.items() if key[0] != framework_id}
        for key in [key for key in self._inverse_filters if key[0] == framework_id]:
            del self._inverse_filters[key]
