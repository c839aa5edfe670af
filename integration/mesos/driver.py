"""`MesosCluster`: the `Cluster` port on a real Mesos master.

Events reach the sink in the order in which the master sent them, from one thread. What a call
reports is certain: it was sent and taken, it was not (`ClusterUnavailable`, `CallRefused`), or,
for ACCEPT only, nobody knows (`AcceptUnclear`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import structlog

from integration.mesos.callbacks import Callbacks
from integration.mesos.config import MesosConfig
from integration.mesos.detector import MasterDetector
from integration.mesos.errors import AcceptUnclear
from integration.mesos.offers import Launch, OfferBook, plan_accept
from integration.mesos.scheduler import SchedulerDriver
from reconciler.model.events import TaskUpdate
from reconciler.model.resources import TaskInfo
from reconciler.ports import ClusterUnavailable, EventSink

log = structlog.get_logger(__name__)

RECONCILE_BATCH = 1000
_MAX_UNCLEAR = 4096


def _always() -> bool:
    return True


class MesosCluster:
    """The `Cluster` port. May be started again after `stop`, for example in the next epoch.

    `may_subscribe` is asked before each subscription. A replica that may not lead any more must not
    take the framework back from its successor after a broken connection; let it answer from the lease.
    """

    def __init__(
        self, config: MesosConfig, detector: MasterDetector, may_subscribe: Callable[[], bool] = _always
    ) -> None:
        self._config = config
        self._detector = detector
        self._may_subscribe = may_subscribe
        self._book = OfferBook()
        self._lock = Lock()
        self._driver: SchedulerDriver | None = None
        self._sink: EventSink | None = None
        self._unclear: OrderedDict[str, None] = OrderedDict()

    def start(self, framework_id: str | None, sink: EventSink) -> None:
        """Subscribe in the background; `Subscribed` and everything after it goes to the sink."""
        with self._lock:
            if self._driver is not None:
                raise RuntimeError("the cluster is started already; stop it first")
            self._book.clear()
            events = Callbacks(sink, self._book, self._config.roles)
            driver = SchedulerDriver(self._config, framework_id, events, events, self._detector, self._may_subscribe)
            self._driver, self._sink = driver, sink
        driver.start()

    def stop(self) -> None:
        """Leave; every task goes on running. Idempotent."""
        with self._lock:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.stop()
        self._book.clear()

    def master(self) -> str | None:
        """The leading master as far as is known, "host:port"."""
        with self._lock:
            return self._driver.detected_master if self._driver is not None else None

    def accept(self, offer_ids: Sequence[str], tasks: Sequence[TaskInfo]) -> None:
        """Launch tasks from offers of one agent.

        Tasks that cannot be launched because an offer is gone or too small are answered by a
        TASK_DROPPED or TASK_ERROR update, as the master itself does. After `AcceptUnclear` the same
        tasks are refused with it again: only reconciliation can tell what became of them.
        """
        driver = self._connected()
        if unclear := [task.task_id for task in tasks if task.task_id in self._unclear]:
            raise AcceptUnclear(f"{unclear[0]} was sent in an earlier ACCEPT that nobody answered: reconcile it")
        offers, missing = self._book.peek(offer_ids)
        plan = plan_accept(offers, missing, tasks, self._config.roles)
        for launch in plan.launches:
            self._launch(driver, launch)
        for update in plan.refused:
            log.warning("mesos.launch_refused", task_id=update.task_id, state=update.state, why=update.message)
            if self._sink is not None:
                self._sink(update)
        if plan.decline:
            self.decline(plan.decline, 0.0)

    def _launch(self, driver: SchedulerDriver, launch: Launch) -> None:
        operation = {"type": "LAUNCH", "launch": {"task_infos": list(launch.task_infos)}}
        # What is left over shall be offered again at once: another of our tasks may wait for it.
        filters = {"refuse_seconds": 0.0}
        try:
            driver.acceptOffers([{"value": i} for i in launch.offer_ids], [operation], filters=filters)
        except AcceptUnclear:
            self._book.forget(launch.offer_ids)
            for info in launch.task_infos:
                self._unclear[str(info["task_id"]["value"])] = None
            while len(self._unclear) > _MAX_UNCLEAR:
                self._unclear.popitem(last=False)
            raise
        self._book.forget(launch.offer_ids)

    def decline(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        if not offer_ids:
            return
        driver = self._connected()
        driver.declineOffer([{"value": i} for i in offer_ids], filters={"refuse_seconds": float(refuse_seconds)})
        self._book.forget(offer_ids)

    def accept_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        """Mesos asks again after so many seconds, while tasks of ours are there and the window is scheduled."""
        if offer_ids:
            self._connected().answer_inverse_offers("ACCEPT_INVERSE_OFFERS", offer_ids, refuse_seconds)

    def decline_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        if offer_ids:
            self._connected().answer_inverse_offers("DECLINE_INVERSE_OFFERS", offer_ids, refuse_seconds)

    def suppress(self) -> None:
        """No more offers, also after a re-subscription, until `revive`."""
        self._connected().suppressOffers()

    def revive(self) -> None:
        """Offers again; filters of earlier declines are forgotten by the master."""
        self._connected().reviveOffers()

    def kill(self, task_id: str, agent_id: str | None, grace_s: float) -> None:
        self._connected().killTask(task_id, agent_id, grace_s)

    def acknowledge(self, update: TaskUpdate) -> None:
        """Acknowledge an update of an agent. One without a uuid came from the master: nothing is sent (fault 22)."""
        if update.uuid is None or update.agent_id is None:
            return
        self._connected().acknowledgeStatusUpdate(
            {
                "agent_id": {"value": update.agent_id},
                "task_id": {"value": update.task_id},
                "uuid": update.uuid,
            }
        )

    def reconcile(self, tasks: Sequence[tuple[str, str | None]]) -> None:
        driver = self._connected()
        if not tasks:
            driver.reconcileTasks([])
        for begin in range(0, len(tasks), RECONCILE_BATCH):
            driver.reconcileTasks(tasks[begin : begin + RECONCILE_BATCH])

    def _connected(self) -> SchedulerDriver:
        driver = self._driver
        if driver is None:
            raise ClusterUnavailable("nothing was sent: the cluster is not started")
        driver.require()
        return driver
