"""`FakeMesos`: a deterministic Mesos in memory, a master and its agents.

It refuses what the real one refuses, answers reconciliation by the same table, and has no clock and no
chance of its own: time is what `advance` is told, and nothing is delivered before `step`. One thread.
The rules are those of Mesos 1.11 (Mesos docs, "Scheduler HTTP API", "Reconciliation", "High
Availability Framework Guide"); `tests/contract/cluster` runs the same suite on this and on a real one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from integration.mesos.fake_agents import OnEnd, OnLaunch
from integration.mesos.fake_maintenance import MaintenanceSide
from integration.mesos.fake_state import (
    AgentStatus,
    Bundle,
    CallFault,
    FakeAgent,
    FakeFramework,
    FakeOffer,
    FakeTask,
    Filter,
    bundle_of,
)
from reconciler.model.events import (
    AgentLost,
    Disconnected,
    Event,
    FrameworkDisplaced,
    FrameworkRemoved,
    OfferRescinded,
    OffersReceived,
    Subscribed,
    TaskUpdate,
)
from reconciler.model.observation import TaskState
from reconciler.model.resources import Offer, TaskInfo

if TYPE_CHECKING:
    from integration.mesos.fake import FakeCluster

MASTER = "fake-master:5050"


class FakeMesos(MaintenanceSide):
    """One Mesos cluster. Schedulers connect with `FakeCluster(mesos)`.

    `fault` is asked about each call by its name ("ACCEPT", "KILL", …) and may answer what goes wrong.
    """

    def __init__(
        self,
        *,
        now: float = 0.0,
        agent_timeout_s: float = 75.0,
        reregister_timeout_s: float = 600.0,
        on_launch: OnLaunch | None = None,
        on_end: OnEnd | None = None,
        fault: Callable[[str], CallFault | None] | None = None,
    ) -> None:
        super().__init__(now, agent_timeout_s, on_launch, on_end)
        self.reregister_timeout_s = reregister_timeout_s
        self.fault = fault
        self.frameworks: dict[str, FakeFramework] = {}
        self.removed: set[str] = set()
        self.offers: dict[str, FakeOffer] = {}
        self._inverse = {}
        self._inverse_filters = {}
        self.agreed = {}
        self.calls: list[str] = []
        """The names of all calls that reached the master."""
        self._up = True
        self._recovering_since: float | None = None
        self._waiting: list[tuple[FakeCluster, str | None]] = []
        self._outbox: deque[tuple[FakeCluster, Event]] = deque()
        self._numbers = 0

    # Time

    @property
    def pending(self) -> int:
        """Events that wait for `step`."""
        return len(self._outbox)

    def advance(self, now: float) -> int:
        """Move time forward, let time-outs strike, and deliver; the number of events delivered."""
        if now < self.now:
            raise ValueError(f"time does not go back from {self.now} to {now}")
        self.now = now
        if self._up:
            self._agent_timers()
            self._master_timers()
        return self.step()

    def step(self) -> int:
        """Let master and agents act once and deliver what is queued; the number of events delivered."""
        if self._up:
            self._subscribe_waiting()
            self._work()
            self._allocate()
            self._offer_inversely()
        count = len(self._outbox)
        for _ in range(count):
            if not self._outbox:
                break
            cluster, event = self._outbox.popleft()
            cluster._deliver(event)
        return count

    def settle(self, limit: int = 1000) -> int:
        """`step` until nothing happens any more."""
        total = 0
        for _ in range(limit):
            count = self.step()
            total += count
            if not count and not self._outbox:
                return total
        raise RuntimeError(f"still not settled after {limit} steps")

    # The world

    def master_down(self) -> None:
        """The leading master dies: all streams end, offers and what it knew about tasks are gone."""
        self._up = False
        self.offers.clear()
        for framework in self.frameworks.values():
            framework.unreachable.clear()
            self._cut(framework, "the master closed the connection")
        for agent in self.agents.values():
            if agent.status is AgentStatus.REGISTERED:
                agent.status = AgentStatus.RECOVERED
        self._recovering_since = self.now

    def master_up(self, agents: bool = True) -> None:
        """A new leader; agents that are up register with it at once, or later by `agent_up`."""
        self._up = True
        if agents:
            for agent in self.agents.values():
                if agent.up and agent.status is not AgentStatus.GONE:
                    self._register(agent)

    def disconnect(self, cluster: FakeCluster, why: str = "the connection broke") -> None:
        """Break one scheduler's stream; what was under way is lost. It subscribes again at the next step."""
        framework = cluster._framework
        if framework is not None and framework.cluster is cluster:
            self._cut(framework, why)

    def rescind(self, offer_id: str) -> None:
        offer = self.offers.pop(offer_id)
        self._emit(offer.framework_id, OfferRescinded(offer_id))

    def remove_framework(self, framework_id: str) -> None:
        """What TEARDOWN or an expired failover_timeout do: every task is killed, the id is never accepted again."""
        framework = self.frameworks.pop(framework_id)
        self.removed.add(framework_id)
        for agent, task in self._placed():
            if task.framework_id == framework_id:
                if task.state.alive:
                    self._ended(task, TaskState.KILLED)
                del agent.tasks[task.info.task_id]
        self._drop_offers(framework_id)
        self._cut(framework, "the master closed the connection")

    # Subscriptions

    def _join(self, cluster: FakeCluster, framework_id: str | None) -> None:
        self._waiting.append((cluster, framework_id))

    def _part(self, cluster: FakeCluster) -> None:
        """A scheduler leaves without a teardown."""
        self._waiting = [entry for entry in self._waiting if entry[0] is not cluster]
        self._outbox = deque(entry for entry in self._outbox if entry[0] is not cluster)
        framework = cluster._framework
        if framework is not None and framework.cluster is cluster:
            self._lose(framework)

    def _lose(self, framework: FakeFramework) -> None:
        framework.cluster, framework.lost_since = None, self.now
        framework.filters.clear()
        self._drop_offers(framework.id)
        self._drop_inverse(framework.id)

    def _cut(self, framework: FakeFramework, why: str) -> None:
        cluster = framework.cluster
        if cluster is None:
            return
        self._lose(framework)
        self._outbox = deque(entry for entry in self._outbox if entry[0] is not cluster)
        cluster._cut()
        self._outbox.append((cluster, Disconnected(why)))
        self._waiting.append((cluster, framework.id))

    def _subscribe_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for cluster, framework_id in waiting:
            if not cluster._may_subscribe():
                self._waiting.append((cluster, framework_id))
            elif framework_id in self.removed:
                self._outbox.append((cluster, FrameworkRemoved("Framework has been removed")))
            else:
                self._subscribe(cluster, framework_id)

    def _subscribe(self, cluster: FakeCluster, framework_id: str | None) -> None:
        if framework_id is None:
            framework_id = f"fake-{self._number():04d}"
        framework = self.frameworks.setdefault(framework_id, FakeFramework(framework_id))
        old = framework.cluster
        if old is not None:
            self._lose(framework)
            old._cut()
            self._outbox.append((old, FrameworkDisplaced()))
        framework.cluster, framework.lost_since = cluster, None
        framework.suppressed = cluster._suppressed
        framework.failover_timeout_s = cluster.failover_timeout_s
        cluster._framework = framework
        self._outbox.append((cluster, Subscribed(framework_id, MASTER)))
        self._resend(framework_id)

    # Offers

    def _allocate(self) -> None:
        for framework in sorted(self.frameworks.values(), key=lambda f: f.id):
            if framework.cluster is None or framework.suppressed:
                continue
            framework.filters = [f for f in framework.filters if f.until > self.now]
            offers = [
                self._offer(framework, agent, left)
                for agent in self.agents.values()
                if agent.up and agent.status is AgentStatus.REGISTERED
                if (left := self._available(agent)).allocatable
                if not any(f.agent_id == agent.id and f.refused.holds(left) for f in framework.filters)
            ]
            if offers:
                self._emit(framework.id, OffersReceived(tuple(offers)))

    def _offer(self, framework: FakeFramework, agent: FakeAgent, left: Bundle) -> Offer:
        offer = Offer(
            f"offer-{self._number():06d}", agent.id, agent.hostname, agent.address, left.cpus, left.mem_mb,
            left.disk_mb, left.gpus, left.ports, dict(agent.attributes), agent.unavailable_from,
        )  # fmt: skip
        self.offers[offer.id] = FakeOffer(offer, framework.id)
        return offer

    def _available(self, agent: FakeAgent) -> Bundle:
        left = agent.total
        for task in agent.tasks.values():
            if task.state.alive:
                left = left.minus(bundle_of(task.info))
        for offer in self.offers.values():
            if offer.offer.agent_id == agent.id:
                left = left.minus(offer.bundle)
        return left

    def _drop_offers(self, framework_id: str) -> None:
        self.offers = {i: offer for i, offer in self.offers.items() if offer.framework_id != framework_id}

    def _rescind_agent(self, agent_id: str) -> None:
        for offer_id in [i for i, offer in self.offers.items() if offer.offer.agent_id == agent_id]:
            self.rescind(offer_id)

    # Calls

    def _accept(self, framework: FakeFramework, offer_ids: Sequence[str], tasks: Sequence[TaskInfo]) -> None:
        found = [o for i in offer_ids if (o := self.offers.get(i)) is not None and o.framework_id == framework.id]
        for offer in found:
            self.offers.pop(offer.offer.id, None)
        agents = {offer.offer.agent_id for offer in found}
        if len(found) != len(set(offer_ids)) or len(agents) != 1:
            for info in tasks:
                self._answer(framework, info.task_id, info.agent_id, TaskState.DROPPED, "REASON_INVALID_OFFERS")
            return
        (agent_id,) = agents
        left = Bundle(0.0, 0.0)
        for offer in found:
            left = left.plus(offer.bundle)
        for info in tasks:
            duplicate = self.find_task(info.task_id) is not None
            if info.agent_id != agent_id or duplicate or not left.holds(bundle_of(info)):
                self._answer(framework, info.task_id, info.agent_id, TaskState.ERROR, "REASON_TASK_INVALID")
                continue
            left = left.minus(bundle_of(info))
            self.agents[agent_id].tasks[info.task_id] = FakeTask(info, framework.id)

    def _decline(self, framework: FakeFramework, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        for offer_id in offer_ids:
            offer = self.offers.get(offer_id)
            if offer is None or offer.framework_id != framework.id:
                continue
            del self.offers[offer_id]
            if refuse_seconds > 0:
                until = self.now + refuse_seconds
                framework.filters.append(Filter(offer.offer.agent_id, offer.bundle, until))

    def _kill_call(self, framework: FakeFramework, task_id: str, agent_id: str | None) -> None:
        task = self._known(framework, task_id)
        if task is None:
            self._reconcile_one(framework, task_id, agent_id)
        else:
            # An agent that is away is told when it comes back.
            task.kill = True

    def _reconcile(self, framework: FakeFramework, tasks: Sequence[tuple[str, str | None]]) -> None:
        for task_id, agent_id in tasks:
            self._reconcile_one(framework, task_id, agent_id)
        if not tasks:
            for _, task in self._placed():
                if self._known(framework, task.info.task_id) is not None:
                    self._answer(framework, task.info.task_id, task.info.agent_id, task.reported)

    def _reconcile_one(self, framework: FakeFramework, task_id: str, agent_id: str | None) -> None:
        """The table of Mesos docs, "Reconciliation", for partition-aware frameworks."""
        task = self._known(framework, task_id)
        if task is not None:
            self._answer(framework, task_id, task.info.agent_id, task.reported)
            return
        if task_id in framework.unreachable:
            self._answer(framework, task_id, framework.unreachable[task_id], TaskState.UNREACHABLE)
            return
        agent = self.agents.get(agent_id) if agent_id is not None else None
        if agent is not None:
            state = {
                AgentStatus.REGISTERED: TaskState.GONE,
                AgentStatus.UNREACHABLE: TaskState.UNREACHABLE,
                AgentStatus.GONE: TaskState.GONE_BY_OPERATOR,
            }.get(agent.status)
        elif agent_id is None and any(a.status is AgentStatus.RECOVERED for a in self.agents.values()):
            state = None
        else:
            state = TaskState.UNKNOWN
        if state is not None:
            self._answer(framework, task_id, agent_id, state)

    def _known(self, framework: FakeFramework, task_id: str) -> FakeTask | None:
        """The task, if the master knows of it: its agent is registered with this master."""
        task = self.find_task(task_id)
        if task is None or task.framework_id != framework.id:
            return None
        return task if self.agents[task.info.agent_id].status is AgentStatus.REGISTERED else None

    def _answer(
        self,
        framework: FakeFramework,
        task_id: str,
        agent_id: str | None,
        state: TaskState,
        reason: str = "REASON_RECONCILIATION",
    ) -> None:
        self._emit(framework.id, TaskUpdate(task_id, state, agent_id, reason, None, "SOURCE_MASTER"))

    # What the agents' half asks for

    def _emit(self, framework_id: str, event: Event) -> bool:
        framework = self.frameworks.get(framework_id)
        if framework is None or framework.cluster is None:
            return False
        self._outbox.append((framework.cluster, event))
        return True

    def _master_up(self) -> bool:
        return self._up

    def _agent_unreachable(self, agent: FakeAgent) -> None:
        agent.status = AgentStatus.UNREACHABLE
        for task in agent.tasks.values():
            framework = self.frameworks.get(task.framework_id)
            if framework is not None and (task.state.alive or not task.reported.dead):
                framework.unreachable[task.info.task_id] = agent.id
                task.reported = TaskState.UNREACHABLE
                self._answer(framework, task.info.task_id, agent.id, TaskState.UNREACHABLE, "REASON_AGENT_REMOVED")
        for framework in self.frameworks.values():
            self._emit(framework.id, AgentLost(agent.id))

    def _register(self, agent: FakeAgent) -> None:
        for framework in self.frameworks.values():
            framework.unreachable = {t: a for t, a in framework.unreachable.items() if a != agent.id}
        super()._register(agent)

    def _master_timers(self) -> None:
        since = self._recovering_since
        if since is not None and self.now - since >= self.reregister_timeout_s:
            self._recovering_since = None
            for agent in self.agents.values():
                if agent.status is AgentStatus.RECOVERED:
                    # The new master does not know the tasks of an agent that never came back.
                    agent.status = AgentStatus.UNREACHABLE
                    for framework in self.frameworks.values():
                        self._emit(framework.id, AgentLost(agent.id))
        for framework in list(self.frameworks.values()):
            if framework.lost_since is not None and self.now - framework.lost_since >= framework.failover_timeout_s:
                self.remove_framework(framework.id)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers
