"""Maintenance windows of Mesos: agents that are to be empty before a window begins, as if a person drained them.

    offers and inverse offers name a window -> so long before its start the agent is drained
      -> an inverse offer is declined while something of ours is there, and accepted when nothing is

Memory only: while a window is scheduled, Mesos sends inverse offers again and again to whoever holds something
on the agent (Mesos docs, "Maintenance Primitives"), so a new leader hears of it within seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from reconciler.model.operator import Drain
from reconciler.model.resources import InverseOffer, Offer
from reconciler.report import timestamp

REFUSE_S = 10.0
"""An answer holds for so long; then Mesos asks again."""
SILENT_S = 60.0

Left = Callable[[str], tuple[int, int] | None]
"""How many tasks, of how many jobs, an agent holds; None while nobody knows."""


@dataclass(frozen=True, slots=True)
class _Window:
    start: float
    end: float | None
    heard_at: float
    inverse_id: str | None = None


class Windows:
    """What Mesos has said of maintenance."""

    def __init__(self, lead_s: float, answer: Callable[[str, bool, float], None]) -> None:
        """`answer(inverse offer id, accepted, seconds)` tells Mesos."""
        self._lead_s = lead_s
        self._answer = answer
        self._windows: dict[str, _Window] = {}
        self._looked_at = float("-inf")

    def offered(self, offers: Iterable[Offer], now: float) -> None:
        """An offer says whether its agent has a window; one without ends what was known."""
        for offer in offers:
            known = self._windows.get(offer.agent_id)
            if offer.unavailable_from is None:
                self._windows.pop(offer.agent_id, None)
            elif known is None or known.start != offer.unavailable_from:
                self._windows[offer.agent_id] = _Window(offer.unavailable_from, None, now)
            else:
                self._windows[offer.agent_id] = replace(known, heard_at=now)

    def asked(self, offers: Iterable[InverseOffer], left: Left, now: float) -> None:
        """Mesos asks whether agents may go: yes, as soon as nothing of ours is there."""
        for offer in offers:
            end = offer.start + offer.duration_s if offer.duration_s is not None else None
            self._windows[offer.agent_id] = _Window(offer.start, end, now, offer.id)
            self._answer(offer.id, left(offer.agent_id) == (0, 0), REFUSE_S)

    def rescinded(self, inverse_id: str) -> None:
        """The schedule was changed; if the agent still has a window, that is said anew."""
        self._windows = {name: window for name, window in self._windows.items() if window.inverse_id != inverse_id}

    def forget_silent(self, left: Left, now: float) -> None:
        """Who holds tasks on an agent with a window is asked again and again: silence means that it was called off."""
        if not self._windows or now - self._looked_at < REFUSE_S:
            return
        self._looked_at = now
        for agent, window in list(self._windows.items()):
            if now - window.heard_at > SILENT_S and left(agent) not in (None, (0, 0)):
                del self._windows[agent]

    def drains(self, now: float) -> tuple[Drain, ...]:
        """Agents whose window begins soon or has begun, and is not over."""
        return tuple(
            Drain(agent, window.start - self._lead_s, "Mesos", f"maintenance from {timestamp(window.start)} on")
            for agent, window in sorted(self._windows.items())
            if window.start - self._lead_s <= now and (window.end is None or now < window.end)
        )

    def next_at(self, now: float) -> float | None:
        """When the next agent is to be emptied, or may be used again."""
        times = [window.start - self._lead_s for window in self._windows.values()]
        times += [window.end for window in self._windows.values() if window.end is not None]
        return min((at for at in times if at > now), default=None)
