"""The counters and histograms of one replica, by the naming rules of Prometheus.

Base units (seconds), `_total` for counters, and no label whose values a user could make endless:
`docs/operations.md` lists every name. Gauges about jobs are made from the leader's view when they
are scraped (`collector`).
"""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CALLS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SAVEPOINTS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class Instruments:
    """Everything that is counted as it happens. One registry per replica, so that tests can have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge("weir_build_info", "Version of this replica; always 1", ["version"], registry=self.registry)
        build.labels(version("weir")).set(1)
        self._state()
        self._loop()
        self._calls()

    def _state(self) -> None:
        self.leader = self._gauge("weir_leader", "1 while this replica leads")
        self.epoch = self._gauge("weir_leader_epoch", "Epoch of this replica's leadership; 0 while it does not lead")
        self.leaderships = self._counter("weir_leaderships", "How often this replica was elected")
        self.acting = self._gauge("weir_acting", "1 when the take-over is complete and the lease may be believed")
        self.zookeeper = self._gauge("weir_zookeeper_connected", "1 while the ZooKeeper session is connected")
        self.mesos = self._gauge("weir_mesos_connected", "1 while subscribed with a Mesos master (leader only)")
        self.mesos_disconnections = self._counter("weir_mesos_disconnections", "Subscriptions that were lost")

    def _loop(self) -> None:
        self.events = self._counter("weir_loop_events", "Events that the loop has taken, by kind", "event")
        self.turns = self._histogram(
            "weir_loop_turn_duration_seconds", "How long the loop was busy with one event", FAST
        )
        self.reconciles = self._counter(
            "weir_reconciles", "Decisions about a job, by result: acts, waits (for a time) or settled", "result"
        )
        self.reconcile_seconds = self._histogram(
            "weir_reconcile_duration_seconds", "Loop turns in which jobs were decided about", FAST
        )
        self.decisions = self._counter("weir_decisions", "Actions that were newly decided, by kind", "kind")
        self.job_events = self._counter("weir_job_events", "Events in the histories of jobs, by reason code", "code")
        self.restores_blocked = self._counter(
            "weir_restores_blocked", "Starts that were blocked because the newest known state is missing"
        )
        self.task_updates = self._counter("weir_task_updates", "Task status updates of Mesos, by state", "state")
        self.savepoint_seconds = self._histogram(
            "weir_savepoint_duration_seconds", "From the decision to take a savepoint to its completion", SAVEPOINTS
        )
        self.mistakes = self._counter("weir_mistakes", "Errors in Weir itself about one job; please report them")

    def _calls(self) -> None:
        self.calls = self._counter(
            "weir_calls", "Calls to ZooKeeper, Mesos and Flink, by result (ok or the error)", "port", "call", "result"
        )
        self.call_seconds = self._histogram(
            "weir_call_duration_seconds", "How long these calls took", CALLS, "port", "call"
        )
        self.fence_rejections = self._counter(
            "weir_fence_rejections", "Writes that ZooKeeper refused because a newer leader exists"
        )
        self.offers_received = self._counter("weir_offers_received", "Offers of Mesos")
        self.offers_used = self._counter("weir_offers_used", "Offers that tasks were launched from")
        self.offers_declined = self._counter("weir_offers_declined", "Offers that were declined")
        self.offers_rescinded = self._counter("weir_offers_rescinded", "Offers that Mesos took back")
        self.tasks_launched = self._counter("weir_tasks_launched", "Tasks that Mesos was asked to launch")
        self.requests = self._counter("weir_http_requests", "Requests to this API, by route", "route", "status")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
