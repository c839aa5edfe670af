"""pymesos' callbacks as events of the model. Method names and signatures are pymesos'."""
# ruff: noqa: ARG002, N802

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from integration.mesos.convert import to_inverse_offer, to_offer, to_update
from integration.mesos.library import Scheduler
from integration.mesos.offers import OfferBook
from reconciler.model.events import (
    AgentLost,
    Disconnected,
    FrameworkDisplaced,
    FrameworkNamesake,
    FrameworkRemoved,
    InverseOfferRescinded,
    InverseOffersReceived,
    OfferRescinded,
    OffersReceived,
    Subscribed,
)
from reconciler.ports import EventSink

log = structlog.get_logger(__name__)


class Callbacks(Scheduler):  # type: ignore[misc]
    """pymesos' callbacks, as events into the sink. Method names are pymesos'."""

    def __init__(self, sink: EventSink, book: OfferBook, roles: Sequence[str]) -> None:
        self._sink = sink
        self._book = book
        self._roles = roles

    def registered(self, driver: Any, framework_id: Any, master_info: Any) -> None:
        self._sink(Subscribed(str(framework_id["value"]), str(driver.master)))

    def reregistered(self, driver: Any, master_info: Any) -> None:
        self._sink(Subscribed(str(driver.framework_id), str(driver.master)))

    def resourceOffers(self, driver: Any, offers: Sequence[Mapping[str, Any]]) -> None:
        # Evicted offers can still be declined by whoever got them; nothing may block this thread to do so.
        self._book.add([dict(offer) for offer in offers])
        self._sink(OffersReceived(tuple(to_offer(offer, self._roles) for offer in offers)))

    def offerRescinded(self, driver: Any, offer_id: Mapping[str, Any]) -> None:
        self._book.forget([str(offer_id["value"])])
        self._sink(OfferRescinded(str(offer_id["value"])))

    def inverseOffers(self, driver: Any, offers: Any) -> None:
        self._sink(InverseOffersReceived(tuple(to_inverse_offer(offer) for offer in offers)))

    def inverseOfferRescinded(self, driver: Any, offer_id: Mapping[str, Any]) -> None:
        self._sink(InverseOfferRescinded(str(offer_id["value"])))

    def statusUpdate(self, driver: Any, status: Mapping[str, Any]) -> None:
        self._sink(to_update(status))

    def slaveLost(self, driver: Any, agent_id: Mapping[str, Any]) -> None:
        self._sink(AgentLost(str(agent_id["value"])))

    def executorLost(self, driver: Any, executor_id: Any, agent_id: Any, status: Any) -> None:
        log.info("mesos.executor_lost", executor=executor_id.get("value"), status=status)

    def lost(self, why: str) -> None:
        self._book.clear()
        self._sink(Disconnected(why))

    def displaced(self) -> None:
        self._book.clear()
        self._sink(FrameworkDisplaced())

    def namesake(self, why: str) -> None:
        self._sink(FrameworkNamesake(why))

    def removed(self, why: str) -> None:
        self._book.clear()
        self._sink(FrameworkRemoved(why))
