"""`FakeCluster`: the `Cluster` port on a `FakeMesos`, for unit tests and simulation.

mesos = FakeMesos(on_launch=flink.attach)
mesos.add_agent("a1")
cluster = FakeCluster(mesos)
cluster.start(None, sink)
mesos.step()            # Subscribed, OffersReceived
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from integration.mesos.config import DEFAULT_FAILOVER_TIMEOUT_S
from integration.mesos.errors import AcceptUnclear
from integration.mesos.fake_master import FakeMesos
from integration.mesos.fake_state import AgentStatus, CallFault, FakeAgent, FakeFramework
from reconciler.model.events import Event, FrameworkDisplaced, FrameworkRemoved, Subscribed, TaskUpdate
from reconciler.model.resources import TaskInfo
from reconciler.ports import ClusterUnavailable, EventSink


def _always() -> bool:
    return True


class FakeCluster:
    """One scheduler. Several may share a `FakeMesos`; the same framework id displaces."""

    def __init__(
        self,
        mesos: FakeMesos,
        may_subscribe: Callable[[], bool] = _always,
        failover_timeout_s: float = DEFAULT_FAILOVER_TIMEOUT_S,
    ) -> None:
        self.mesos = mesos
        self.failover_timeout_s = failover_timeout_s
        self._may_subscribe = may_subscribe
        self._sink: EventSink | None = None
        self._framework: FakeFramework | None = None
        self._live = False
        self._suppressed = False
        self._ended: str | None = None
        self._unclear: set[str] = set()

    # The port

    def start(self, framework_id: str | None, sink: EventSink) -> None:
        if self._sink is not None:
            raise RuntimeError("the cluster is started already; stop it first")
        self._sink, self._ended, self._suppressed = sink, None, False
        self.mesos._join(self, framework_id)

    def stop(self) -> None:
        self.mesos._part(self)
        self._sink = self._framework = None
        self._live = False

    def accept(self, offer_ids: Sequence[str], tasks: Sequence[TaskInfo]) -> None:
        self._require("ACCEPT")
        if any(task.task_id in self._unclear for task in tasks):
            raise AcceptUnclear("a task was sent in an earlier ACCEPT that nobody answered: reconcile it")
        try:
            self._call("ACCEPT", lambda framework: self.mesos._accept(framework, offer_ids, tasks))
        except AcceptUnclear:
            self._unclear.update(task.task_id for task in tasks)
            raise

    def decline(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        if offer_ids:
            self._call("DECLINE", lambda framework: self.mesos._decline(framework, offer_ids, refuse_seconds))

    def accept_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        self._answer_inverse("ACCEPT_INVERSE_OFFERS", offer_ids, refuse_seconds, agreed=True)

    def decline_inverse(self, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        self._answer_inverse("DECLINE_INVERSE_OFFERS", offer_ids, refuse_seconds, agreed=False)

    def _answer_inverse(self, call: str, offer_ids: Sequence[str], refuse_seconds: float, agreed: bool) -> None:
        if offer_ids:
            self._call(call, lambda framework: self.mesos._answer_inverse(framework, offer_ids, refuse_seconds, agreed))

    def suppress(self) -> None:
        def apply(framework: FakeFramework) -> None:
            framework.suppressed = True

        self._require("SUPPRESS")
        self._suppressed = True
        self._call("SUPPRESS", apply)

    def revive(self) -> None:
        def apply(framework: FakeFramework) -> None:
            framework.suppressed = False
            framework.filters.clear()

        self._require("REVIVE")
        self._suppressed = False
        self._call("REVIVE", apply)

    def kill(self, task_id: str, agent_id: str | None, grace_s: float) -> None:  # noqa: ARG002  (fakes end at once)
        self._call("KILL", lambda framework: self.mesos._kill_call(framework, task_id, agent_id))

    def acknowledge(self, update: TaskUpdate) -> None:
        uuid = update.uuid
        if uuid is None or update.agent_id is None:
            return
        self._call("ACKNOWLEDGE", lambda _: self.mesos._acknowledge(update.task_id, uuid))

    def reconcile(self, tasks: Sequence[tuple[str, str | None]]) -> None:
        self._call("RECONCILE", lambda framework: self.mesos._reconcile(framework, tasks))

    # The connection

    def _require(self, call: str) -> FakeFramework:
        if self._ended is not None:
            raise ClusterUnavailable(f"{call} was not sent: the framework was {self._ended}")
        if not self._live or self._framework is None:
            raise ClusterUnavailable(f"{call} was not sent: not subscribed")
        return self._framework

    def _call(self, call: str, apply: Callable[[FakeFramework], None]) -> None:
        framework = self._require(call)
        fault = self.mesos.fault(call) if self.mesos.fault is not None else None
        if fault is CallFault.UNAVAILABLE:
            raise ClusterUnavailable(f"{call} was not sent: injected fault")
        if fault in (None, CallFault.UNCLEAR_APPLIED):
            self.mesos.calls.append(call)
            apply(framework)
        if fault in (CallFault.UNCLEAR_APPLIED, CallFault.UNCLEAR_LOST):
            kind = AcceptUnclear if call == "ACCEPT" else ClusterUnavailable
            raise kind(f"{call} was sent and not answered: injected fault")

    def _deliver(self, event: Event) -> None:
        """From the master's queue. Calls work from the moment that `Subscribed` is here."""
        if isinstance(event, Subscribed):
            self._live = True
        elif isinstance(event, FrameworkDisplaced):
            self._ended, self._live = "displaced", False
        elif isinstance(event, FrameworkRemoved):
            self._ended, self._live = "removed", False
        if self._sink is not None:
            self._sink(event)

    def _cut(self) -> None:
        self._live = False


__all__ = ["AgentStatus", "CallFault", "FakeAgent", "FakeCluster", "FakeMesos"]
