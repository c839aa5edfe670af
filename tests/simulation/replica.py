"""One simulated process of the operator: it contends, leads with the shipped Loop, crashes, pauses, comes back.

`Replica` does what `reconciler.leadership` and `reconciler.app.replica` do with threads; `Leadership`
is what exists for one epoch only: the Loop, its runner, its Mesos connection, its queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from integration.mesos.fake import FakeCluster
from reconciler.loop import Loop, Parts
from reconciler.model.events import AgentLost, Disconnected, Event, RecordsLoaded, Subscribed, TaskUpdate, Tick
from reconciler.model.status import LeaderInfo
from reconciler.ports import Fence
from reconciler.slices import SLICE
from state.memory import MemoryElection, MemoryLease, MemorySession
from tests.simulation.ports import SimCluster, SimFlink, SimStore

if TYPE_CHECKING:
    from tests.simulation.world import World

SLICED_EVERY, SLICED = 4, 3
"""Which seeds look at one job between two events where the shipped loop would look at a hundred."""
SESSION_S = 6.0
"""ZooKeeper session time-out of the replicas."""
CONTEND_S = 1.0


class SimLease:
    """What a replica can know of its leadership, which is less than the truth.

    Behind a broken connection it sees no expiry; it only stops acting. `blind_until` models the time
    between a check of the lease and what follows from it, drawn out: the leader goes on although
    another one leads.
    """

    def __init__(self, world: World, lease: MemoryLease) -> None:
        self._world = world
        self._lease = lease
        self.session = lease.session
        self.blind_until = float("-inf")

    @property
    def fence(self) -> Fence:
        return self._lease.fence

    def may_act(self) -> bool:
        if self._world.sim.now < self.blind_until:
            return True
        return self._lease.may_act()

    def lost(self) -> bool:
        if self._world.sim.now < self.blind_until or not self.session.connected:
            return False
        return self._lease.lost()

    def release(self) -> None:
        self._lease.release()


class SimRunner:
    """`Runner`: calls happen at seeded later moments; those of the lane `mesos` in order, others in any.

    A call takes effect in one instant and its answer travels back in another, so the replica can
    die between the two.
    """

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._world = leadership.world
        self._free_at = 0.0
        self.stopped = False
        self.deferred: list[tuple[str, Callable[[], Event | None]]] = []

    def submit(self, lane: str, call: Callable[[], Event | None]) -> None:
        world = self._world
        at = world.sim.now + world.latency(lane)
        if lane == "mesos":
            at = self._free_at = max(at, self._free_at + 1e-6)
        world.sim.at(at, self._execute, lane, call)

    def _execute(self, lane: str, call: Callable[[], Event | None]) -> None:
        world, replica = self._world, self._leadership.replica
        if self.stopped:
            # The process is gone. Some of what it had sent is still under way and arrives late (fault 10).
            if world.rng.random() < 0.3:
                self._call(call)
            return
        world.before_call(replica)
        if replica.paused:
            self.deferred.append((lane, call))
            return
        event = self._call(call)
        if event is not None:
            world.sim.after(world.latency(lane), self._leadership.deliver, event)
        world.crash_point(replica)

    def _call(self, call: Callable[[], Event | None]) -> Event | None:
        try:
            return call()
        except Exception as error:
            self._world.monitor.violation("LOOP", f"a call raised {type(error).__name__}: {error}")
            return None

    def resume(self) -> None:
        deferred, self.deferred = self.deferred, []
        for lane, call in deferred:
            self.submit(lane, call)


class Leadership:
    """One epoch of one replica."""

    def __init__(self, replica: Replica, lease: MemoryLease) -> None:
        self.world = world = replica.world
        self.replica = replica
        self.lease = SimLease(world, lease)
        self.offset = replica.offset
        self.fence = lease.fence
        self.inbox: list[Event] = []
        self.ended = False
        self.unanswered: dict[str, set[str]] = {}
        """Tasks that the records named at the take-over, per job, until Mesos has said something of them (S6)."""
        self.deaf_until = float("-inf")
        """Until then nothing that the master sends arrives, and the stream still seems to be there."""
        self._wake_at = float("inf")
        self._stream_at = 0.0
        self._task_at: dict[str, float] = {}
        self.runner = SimRunner(self)
        self.store = SimStore(world, replica)
        self.cluster = SimCluster(world, self, FakeCluster(world.mesos, self._may_subscribe))
        parts = Parts(
            self.store, self.cluster, SimFlink(world, self), world.renderer, self.runner, self,
            world.policy, world.parse, world.placement,
            slice_size=1 if world.seed % SLICED_EVERY == SLICED else SLICE,
        )  # fmt: skip
        self.loop = Loop(parts, self.lease, self._from_mesos)

    def now(self) -> float:
        """The leader's clock: wall time when it began, plus time since (fault 59)."""
        return self.world.sim.now + self.offset

    def _may_subscribe(self) -> bool:
        return not self.lease.lost() and self.world.sim.now >= self.replica.no_master_until

    def begin(self) -> None:
        self.store.watch(self._from_store)
        self._guarded(self.loop.start)

    def end(self, why: str) -> None:
        """Nothing of this epoch goes on, except what is under way already."""
        if self.ended:
            return
        self.ended = self.runner.stopped = True
        self.store.unwatch()
        self.cluster.stop()
        self.world.sim.say(self.replica.name, f"leadership of epoch {self.fence.epoch} ended: {why}")

    # Events

    def deliver(self, event: Event) -> None:
        """An event comes out of the queue. A paused process takes it when it wakes."""
        if self.ended:
            return
        if self.replica.paused:
            self.inbox.append(event)
            return
        self.world.monitor.handling(self, event)
        self._guarded(self.loop.handle, event)

    def resume(self) -> None:
        self.runner.resume()
        inbox, self.inbox = self.inbox, []
        for event in [*inbox, Tick()]:
            self.deliver(event)

    def _guarded(self, call: Callable[..., None], *args: object) -> None:
        world = self.world
        try:
            call(*args)
        except Exception as error:
            world.monitor.violation("LOOP", f"the loop raised {type(error).__name__}: {error}")
            self.replica.crash("the loop raised")
            return
        if self.loop.stopped is not None:
            self.replica.resigned(self.loop.stopped, self.loop.halted)
            return
        due = self.loop.next_timer()
        if due is not None and due - self.offset < self._wake_at:
            self._wake_at = max(due - self.offset, world.sim.now)
            world.sim.at(self._wake_at, self._wake, self._wake_at)

    def _wake(self, at: float) -> None:
        if at == self._wake_at:
            self._wake_at = float("inf")
            self.deliver(Tick())

    def _from_store(self, event: Event) -> None:
        self.world.sim.after(self.world.latency("store"), self.deliver, event)

    def _from_mesos(self, event: Event) -> None:
        """The stream keeps its order; updates of different tasks may overtake each other before the master."""
        world = self.world
        if world.sim.now < self.deaf_until and not isinstance(event, Disconnected):
            return
        fate = world.fate_of_update() if isinstance(event, TaskUpdate | AgentLost) else None
        if fate == "lost":
            world.sim.say("fault", f"lost on its way: {event}")
            return
        at = world.sim.now + world.latency("mesos")
        if isinstance(event, TaskUpdate):
            at = self._task_at[event.task_id] = max(at, self._task_at.get(event.task_id, 0.0) + 1e-6)
        else:
            at = self._stream_at = max(at, self._stream_at + 1e-6)
            if isinstance(event, Subscribed):
                self._task_at.clear()
        if fate == "twice":
            world.sim.at(at, self.deliver, event)
        world.sim.at(at, self.deliver, event)

    def note_records(self, event: RecordsLoaded) -> None:
        """What has to be answered before this leader may act on a job."""
        for name, stored in (event.records or {}).items():
            record = getattr(stored, "record", None)
            if record is not None:
                self.unanswered[name] = {task.task_id for task in record.tasks if task.task_id is not None}


class Replica:
    """One process; `leadership` while it leads."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.up = True
        self.paused = False
        self.halted: str | None = None
        self.offset = 0.0
        """How far its wall clock is off when it next becomes leader, in seconds."""
        self.no_master_until = float("-inf")
        """Until then it has no connection with the Mesos master."""
        self.leadership: Leadership | None = None
        self.session = MemorySession(world.tree)
        self._life = 0
        world.sim.after(world.rng.random() * CONTEND_S, self._contend, self._life)

    def _contend(self, life: int) -> None:
        if life != self._life:
            return
        world = self.world
        world.sim.after(CONTEND_S, self._contend, life)
        if not self.up or self.paused or self.halted or self.leadership is not None:
            return
        lease = MemoryElection(session=self.session).acquire(LeaderInfo(replica=self.name, host=self.name, pid=1))
        if lease is None:
            return
        world.sim.say(self.name, f"elected, epoch {lease.fence.epoch}")
        world.elections += 1
        self.leadership = Leadership(self, lease)
        self.leadership.begin()

    def resigned(self, why: str, halted: bool) -> None:
        """The loop has stopped: release the lease and stand in line again."""
        leadership, self.leadership = self.leadership, None
        if leadership is not None:
            leadership.end(why)
            if self.session.connected:
                leadership.lease.release()
        if halted:
            self.halted = why
            self.world.sim.say(self.name, f"halted: {why}")

    # Faults

    def crash(self, why: str, down_s: float = 2.0) -> None:
        """SIGKILL; a new process starts after `down_s`. The session lives on until it expires."""
        if not self.up:
            return
        world = self.world
        world.sim.say("fault", f"{self.name} crashes: {why}")
        self.up = self.paused = False
        self._life += 1
        leadership, self.leadership = self.leadership, None
        if leadership is not None:
            leadership.end("crashed")
        old, self.session = self.session, MemorySession(world.tree)
        world.sim.after(SESSION_S * world.rng.random(), self._expire_old, old)
        world.sim.after(down_s, self._start)

    def _expire_old(self, session: MemorySession) -> None:
        session.expire()
        if session in self.world.tree.sessions:
            self.world.tree.sessions.remove(session)

    def _start(self) -> None:
        self.up, self.halted = True, None
        self._contend(self._life)

    def pause(self, seconds: float) -> None:
        """SIGSTOP: it neither acts nor beats; when it wakes it goes on where it was."""
        if self.paused or not self.up:
            return
        self.world.sim.say("fault", f"{self.name} is paused for {seconds:.1f} s")
        self.paused = True
        self.world.sim.after(SESSION_S, self._expire_if, lambda: self.paused)
        self.world.sim.after(seconds, self._wake_up, self._life)

    def _wake_up(self, life: int) -> None:
        if life != self._life or not self.paused:
            return
        self.paused = False
        self.world.sim.say(self.name, "wakes up")
        if self.leadership is not None:
            self.leadership.lease.blind_until = self.world.sim.now + self.world.rng.random() * 2.0
            self.leadership.resume()

    def cut_off(self, seconds: float) -> None:
        """No connection to ZooKeeper for a while; the session expires if that takes too long."""
        if not self.session.connected:
            return
        self.world.sim.say("fault", f"{self.name} loses ZooKeeper for {seconds:.1f} s")
        session = self.session
        session.suspend()
        self.world.sim.after(SESSION_S, self._expire_if, lambda: not session.connected)
        self.world.sim.after(seconds, session.resume)

    def _expire_if(self, still: Callable[[], bool]) -> None:
        if still():
            self.world.sim.say("fault", f"the session of {self.name} expires")
            self.session.expire()
