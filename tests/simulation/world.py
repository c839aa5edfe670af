"""Everything that one run consists of, wired together: ZooKeeper, Mesos, Flink, replicas, users."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integration.flink.fake import FakeFlink, fake_renderer
from integration.mesos.fake import CallFault, FakeMesos
from integration.mesos.fake_state import AgentStatus, FakeAgent
from plugins.placement.spread import Spread
from plugins.restart.exponential_delay import ExponentialDelay
from reconciler.app.admission import Admission, memory
from reconciler.model.events import ParsedSpec, RawSpec
from reconciler.model.observation import TaskState
from reconciler.model.policy import Policy
from reconciler.model.record import Restarts
from reconciler.model.resources import Candidate, PlacementStrategy, TaskInfo, TaskRequest
from reconciler.model.spec import Restart
from reconciler.model.spec_parse import SpecLimits
from state.memory import MemoryTree
from tests.simulation.monitor import Monitor, Snapshots
from tests.simulation.replica import Replica
from tests.simulation.simulator import START, Simulator
from tests.simulation.users import Users

TICK_S = 1.0
LATENCY_S: Mapping[str, float] = {"mesos": 0.01, "store": 0.02, "flink": 0.05}
"""Typical duration of half a call, by lane."""
CAPPED_EVERY, CAPPED = 7, 5
"""Which seeds run under a cap on disruptions that one job alone reaches (S7)."""
RENDERER = fake_renderer()
_PARSED: dict[tuple[str, bytes], ParsedSpec] = {}


class BrokenRestart:
    """A strategy plugin that raises, or answers what is no delay (fault 57)."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> float | None:
        answer: Any = self._rng.choice([RuntimeError, float("nan"), -1.0, "soon", 1e12])
        if answer is RuntimeError:
            raise RuntimeError("a bug in a plugin")
        return answer  # type: ignore[no-any-return]


class BrokenPlacement:
    """A placement plugin that raises sometimes (fault 57)."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def rank(self, request: TaskRequest, candidate: Candidate) -> tuple[float, ...]:
        if self._rng.random() < 0.5:
            raise RuntimeError("a bug in a plugin")
        return (self._rng.random(),)


@dataclass(slots=True)
class Weather:
    """Chances of small mishaps, per call or event; all zero on a fine day."""

    slow: Mapping[str, float] = field(default_factory=dict)
    """How much longer calls of a lane take."""
    update_lost: float = 0.0
    update_twice: float = 0.0
    call_faults: Mapping[CallFault, float] = field(default_factory=dict)
    rest_lost: float = 0.0


class World:
    """One run. `seed` fixes everything that happens in it."""

    def __init__(self, seed: int, *, replicas: int = 3, agents: int = 3, trace: bool = False) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.sim = Simulator()
        if trace:
            self.sim.trace = []
        self.weather = Weather()
        self.tree = MemoryTree()
        self.tree_is_away = False
        self.master_is_up = True
        self.elections = 0
        self.faults = 0
        self.excuses: set[str] = set()
        """Reason codes of BLOCKED that a job may end with, because something was really lost."""
        self.lost_paths: set[str] = set()
        """Snapshots that somebody deleted."""
        self.crash_at: int | None = None
        """Crash the replica that makes the call of this number, right after it took effect."""
        self.pause_in: int | None = None
        """Pause the leader before so many more calls."""
        self.calls = 0
        self.monitor = Monitor(self)
        self.users = Users(self)
        self.flink = FakeFlink(now=START, on_exit=self._on_exit)
        self.flink.snapshots = Snapshots()
        self._quicken_flink()
        self.mesos = FakeMesos(
            now=START, agent_timeout_s=20.0, reregister_timeout_s=60.0,
            on_launch=self._on_launch, on_end=self._on_end, fault=self._call_fault,
        )  # fmt: skip
        for _ in range(agents):
            self.add_agent()
        self.renderer = RENDERER
        restart = {"exponential-delay": ExponentialDelay(), "broken": BrokenRestart(self.rng)}
        self.placement: dict[str, PlacementStrategy] = {"spread": Spread(), "broken": BrokenPlacement(self.rng)}
        self.policy = Policy(
            storage="file:///storage", restart_strategies=restart, lost_grace_s=5.0, kill_retry_s=5.0,
            stop_patience_s=20.0, stop_retry_s=4.0,
            disruptions=1 if seed % CAPPED_EVERY == CAPPED else 50, disruption_interval_s=15.0,
        )  # fmt: skip
        limits = SpecLimits(
            flink_versions=frozenset({"2.2"}),
            restart_strategies=frozenset(restart),
            placement_strategies=frozenset(self.placement),
        )
        self._admission = Admission(limits, [memory(self.renderer.check)])
        self._poked = False
        self.replicas = [Replica(self, f"r{number + 1}") for number in range(replicas)]
        self.sim.after(TICK_S, self._tick)

    def _quicken_flink(self) -> None:
        timing = self.flink.timing
        timing.rest = timing.submit = timing.register = 0.6
        timing.deploy = timing.stop = 0.3
        timing.session = 2.0

    def parse(self, raw: RawSpec) -> ParsedSpec:
        """The shipped admission, remembered because thousands of runs read the same few specs."""
        key = (raw.name, raw.data)
        if key not in _PARSED:
            _PARSED[key] = self._admission.parse(raw)
        found = _PARSED[key]
        return ParsedSpec(raw.ref, found.spec, found.error)

    # Time

    def run(self, seconds: float) -> None:
        self.sim.run(self.sim.now + seconds)

    def poke(self) -> None:
        """Something reached the master: let it and its agents act soon."""
        if not self._poked:
            self._poked = True
            self.sim.after(self.latency("mesos"), self._step_mesos)

    def latency(self, lane: str) -> float:
        return LATENCY_S[lane] * (0.1 + self.rng.random()) * self.weather.slow.get(lane, 1.0)

    def _tick(self) -> None:
        self.sim.after(TICK_S, self._tick)
        self._step_mesos()
        self.monitor.look()

    def _step_mesos(self) -> None:
        self._poked = False
        self.flink.advance(self.sim.now)
        self.mesos.advance(self.sim.now)
        if self.mesos.pending:
            self.poke()

    # Mesos and Flink

    def add_agent(self) -> None:
        self.mesos.add_agent(f"a{len(self.mesos.agents) + 1}", ports=((31000, 31019),))

    def _on_launch(self, info: TaskInfo, agent: FakeAgent) -> TaskState | None:
        self.sim.say("mesos", f"{agent.id} starts {info.task_id}")
        self.flink.advance(self.sim.now)
        self.flink.task_started(info)
        self.monitor.task_started(info)
        return None

    def _on_end(self, task_id: str, state: TaskState) -> None:
        self.sim.say("mesos", f"{task_id} ends: {state}")
        self.flink.advance(self.sim.now)
        self.flink.task_dead(task_id)

    def _on_exit(self, task_id: str, code: int) -> None:
        """A JVM ended by itself; its agent tells the master sooner or later."""
        self.sim.say("flink", f"{task_id} exits with {code}")
        self.sim.after(0.0, self._report_exit, task_id, code)

    def _report_exit(self, task_id: str, code: int) -> None:
        task = self.mesos.find_task(task_id)
        if task is not None and not task.state.dead:
            self.mesos.set_state(task_id, TaskState.FAILED if code else TaskState.FINISHED, None, f"exit status {code}")
            self.poke()

    # Small mishaps

    def fate_of_update(self) -> str | None:
        weather = self.weather
        if not weather.update_lost and not weather.update_twice:
            return None
        draw = self.rng.random()
        if draw < weather.update_lost:
            self.faults += 1
            return "lost"
        if draw < weather.update_lost + weather.update_twice:
            self.faults += 1
            return "twice"
        return None

    def rest_is_lost(self) -> bool:
        if not self.weather.rest_lost or self.rng.random() >= self.weather.rest_lost:
            return False
        self.faults += 1
        return True

    def _call_fault(self, call: str) -> CallFault | None:
        for fault, chance in self.weather.call_faults.items():
            if self.rng.random() < chance:
                self.faults += 1
                self.sim.say("fault", f"{call}: {fault.value}")
                return fault
        return None

    def before_call(self, replica: Replica) -> None:
        """Called before each call of a leader: it may fall asleep with the call in its hand."""
        if self.pause_in is not None:
            self.pause_in -= 1
            if self.pause_in <= 0:
                self.pause_in = None
                replica.pause(5 + self.rng.random() * 10)

    def crash_point(self, replica: Replica) -> None:
        """Called after each call that a leader made: its answer may never arrive."""
        self.calls += 1
        if self.calls == self.crash_at:
            self.faults += 1
            replica.crash(f"right after call {self.calls}")

    # When faults end

    def agent_back(self, agent: FakeAgent) -> None:
        """An agent that was away, or that a new master does not know yet, registers."""
        self.flink.unreachable.difference_update(agent.tasks)
        if agent.status is AgentStatus.GONE or (agent.up and agent.status is AgentStatus.REGISTERED):
            return
        self.sim.say("fault", f"agent {agent.id} is back")
        self.flink.advance(self.sim.now)
        self.mesos.agent_up(agent.id)
        self.poke()

    def clear_weather(self) -> None:
        self.weather = Weather()

    def clear_calls(self) -> None:
        self.weather.call_faults = {}

    def clear_updates(self) -> None:
        self.weather.update_lost = self.weather.update_twice = 0.0

    def clear_slow(self) -> None:
        self.weather.slow = {}

    def clear_rest(self) -> None:
        self.weather.rest_lost = 0.0

    def leader(self) -> Replica | None:
        """The replica that acts now, as far as an observer can tell."""
        leading = [r for r in self.replicas if r.leadership is not None and r.leadership.loop.acting and not r.paused]
        return max(leading, key=lambda r: r.leadership.fence.epoch if r.leadership else 0, default=None)
