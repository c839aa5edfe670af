"""The agents' half of the fake Mesos: launching, killing, dying, and updates that wait for acknowledgement.

An agent sends the first unacknowledged update of a task, repeats it with growing pauses (10 s to
10 min), and sends the next one only after its acknowledgement (Mesos docs, "Scheduler HTTP API",
and the agent's task status update manager).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from integration.mesos.fake_state import AgentStatus, Bundle, FakeAgent, FakeTask
from integration.mesos.resources import merge_ranges
from reconciler.model.events import Event, TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import TaskInfo

OnLaunch = Callable[[TaskInfo, FakeAgent], TaskState | None]
"""Called when an agent starts a task; a state other than None is reported instead of RUNNING."""
OnEnd = Callable[[str, TaskState], None]
"""Called when Mesos ended a task's process (a kill, or the death of its host)."""

RETRY_FIRST_S = 10.0
RETRY_MAX_S = 600.0


class AgentSide:
    """Agents and what runs on them. `FakeMesos` adds the master."""

    def __init__(self, now: float, agent_timeout_s: float, on_launch: OnLaunch | None, on_end: OnEnd | None) -> None:
        self.now = now
        self.agent_timeout_s = agent_timeout_s
        self.on_launch = on_launch
        self.on_end = on_end
        self.agents: dict[str, FakeAgent] = {}
        self._uuids = 0

    # What the master adds

    def _emit(self, framework_id: str, event: Event) -> bool:
        """Queue an event for the framework's scheduler; False when it is not connected."""
        raise NotImplementedError

    def _rescind_agent(self, agent_id: str) -> None:
        raise NotImplementedError

    def _agent_unreachable(self, agent: FakeAgent) -> None:
        raise NotImplementedError

    def _master_up(self) -> bool:
        raise NotImplementedError

    # The world

    def add_agent(
        self,
        agent_id: str,
        *,
        cpus: float = 4.0,
        mem_mb: float = 8192.0,
        disk_mb: float = 10_000.0,
        gpus: float = 0.0,
        ports: tuple[tuple[int, int], ...] = ((31000, 31099),),
        hostname: str | None = None,
        address: str | None = None,
        attributes: Mapping[str, str] | None = None,
        unavailable_from: float | None = None,
    ) -> FakeAgent:
        if agent_id in self.agents:
            raise ValueError(f"there is an agent {agent_id} already")
        name = hostname or f"{agent_id}.example"
        agent = FakeAgent(
            agent_id,
            name,
            address or f"10.0.0.{len(self.agents) + 1}",
            Bundle(cpus, mem_mb, disk_mb, gpus, merge_ranges(ports)),
            dict(attributes or {}),
            unavailable_from,
        )
        self.agents[agent_id] = agent
        return agent

    def agent_down(self, agent_id: str, processes_die: bool = False) -> None:
        """The agent process ends, or the whole host (`processes_die`); offers of it are rescinded at once."""
        agent = self.agents[agent_id]
        if agent.up:
            agent.up, agent.down_since = False, self.now
        if processes_die and agent.hosted:
            agent.hosted = False
            for task in [t for t in agent.tasks.values() if t.launched and t.state.alive]:
                self._ended(task, TaskState.FAILED)
        self._rescind_agent(agent_id)

    def agent_up(self, agent_id: str) -> None:
        """The agent process starts again and registers with its old id."""
        agent = self.agents[agent_id]
        if agent.status is AgentStatus.GONE:
            raise ValueError(f"agent {agent_id} was marked gone; Mesos does not let it come back")
        agent.up, was_dead, agent.hosted = True, not agent.hosted, True
        for task in agent.tasks.values():
            if was_dead and task.launched and task.state.alive:
                self._record(task, TaskState.FAILED, "REASON_EXECUTOR_TERMINATED", "Executor terminated")
            elif not task.launched and task.state.alive:
                self._record(task, TaskState.DROPPED, "REASON_RECONCILIATION", "Task unknown to the agent")
        if self._master_up():
            self._register(agent)

    def _register(self, agent: FakeAgent) -> None:
        was, agent.status = agent.status, AgentStatus.REGISTERED
        for task in list(agent.tasks.values()):
            if task.state.alive and was is not AgentStatus.REGISTERED:
                task.reported = task.state
                update = self._update(task, task.state, "REASON_AGENT_REREGISTERED", "Agent reregistered")
                self._emit(task.framework_id, replace(update, source="SOURCE_MASTER"))
            if task.kill and task.state.alive:
                self._kill(task)
            task.sent_at = None
            self._forward(agent, task)

    def mark_gone(self, agent_id: str) -> None:
        """An operator marks the agent gone: its tasks can never come back."""
        agent = self.agents[agent_id]
        agent.up = agent.hosted = False
        agent.status = AgentStatus.GONE
        self._rescind_agent(agent_id)
        for task in agent.tasks.values():
            if task.state.alive:
                self._ended(task, TaskState.GONE_BY_OPERATOR)
                update = self._update(task, TaskState.GONE_BY_OPERATOR, "REASON_AGENT_REMOVED_BY_OPERATOR", "gone")
                self._emit(task.framework_id, replace(update, source="SOURCE_MASTER"))
        agent.tasks.clear()

    def set_state(self, task_id: str, state: TaskState, reason: str | None = None, message: str | None = None) -> None:
        """What happened to a task's process, told by whoever plays it (a fake Flink)."""
        task = self.find_task(task_id)
        if task is None or task.state.dead:
            raise ValueError(f"task {task_id} does not run")
        self._record(task, state, reason, message)
        self._forward(self.agents[task.info.agent_id], task)

    def find_task(self, task_id: str) -> FakeTask | None:
        return next((agent.tasks[task_id] for agent in self.agents.values() if task_id in agent.tasks), None)

    def running(self) -> dict[str, TaskInfo]:
        """The tasks whose processes run right now, by id: the truth that no scheduler sees directly."""
        return {
            task_id: task.info
            for agent in self.agents.values()
            if agent.hosted
            for task_id, task in agent.tasks.items()
            if task.launched and task.state.alive
        }

    # Inside an agent

    def _work(self) -> None:
        """Start and kill what the master asked for."""
        for agent in [a for a in self.agents.values() if a.up and a.status is AgentStatus.REGISTERED]:
            for task in [t for t in agent.tasks.values() if not t.launched and t.state.alive]:
                if task.kill:
                    self._record(task, TaskState.KILLED, "REASON_TASK_KILLED_DURING_LAUNCH", None)
                else:
                    self._start(agent, task)
                self._forward(agent, task)
            for task in [t for t in agent.tasks.values() if t.kill and t.state.alive]:
                self._kill(task)
                self._forward(agent, task)

    def _start(self, agent: FakeAgent, task: FakeTask) -> None:
        task.launched = True
        self._record(task, TaskState.STARTING)
        instead = self.on_launch(task.info, agent) if self.on_launch is not None else None
        # The hook may have told the state by itself.
        if task.state is TaskState.STARTING:
            self._record(task, instead or TaskState.RUNNING)

    def _kill(self, task: FakeTask) -> None:
        self._record(task, TaskState.KILLING)
        self._ended(task, TaskState.KILLED)
        self._record(task, TaskState.KILLED)

    def _ended(self, task: FakeTask, state: TaskState) -> None:
        if self.on_end is not None and task.launched:
            self.on_end(task.info.task_id, state)

    def _update(self, task: FakeTask, state: TaskState, reason: str | None, message: str | None) -> TaskUpdate:
        return TaskUpdate(task.info.task_id, state, task.info.agent_id, reason, message, "SOURCE_EXECUTOR")

    def _record(self, task: FakeTask, state: TaskState, reason: str | None = None, message: str | None = None) -> None:
        if task.state.dead:
            return
        task.state = state
        self._uuids += 1
        uuid = base64.b64encode(self._uuids.to_bytes(16, "big")).decode()
        task.updates.append(replace(self._update(task, state, reason, message), uuid=uuid))

    def _forward(self, agent: FakeAgent, task: FakeTask) -> None:
        """Send the first waiting update unless it was just sent."""
        if not task.updates or task.sent_at is not None:
            return
        if not agent.up or agent.status is not AgentStatus.REGISTERED or not self._master_up():
            return
        head = task.updates[0]
        task.reported = head.state
        if self._emit(task.framework_id, head):
            task.sent_at, task.retry_s = self.now, RETRY_FIRST_S

    def _acknowledge(self, task_id: str, uuid: str) -> None:
        task = self.find_task(task_id)
        if task is None or not task.updates or task.updates[0].uuid != uuid:
            return
        agent = self.agents[task.info.agent_id]
        if not agent.up or agent.status is not AgentStatus.REGISTERED:
            return
        task.updates.popleft()
        task.sent_at = None
        if task.state.dead and not task.updates:
            del agent.tasks[task_id]
        else:
            self._forward(agent, task)

    def _resend(self, framework_id: str) -> None:
        """A scheduler came back: agents send what it has not acknowledged."""
        for agent, task in self._placed():
            if task.framework_id == framework_id:
                task.sent_at = None
                self._forward(agent, task)

    def _placed(self) -> Iterator[tuple[FakeAgent, FakeTask]]:
        return ((agent, task) for agent in list(self.agents.values()) for task in list(agent.tasks.values()))

    def _agent_timers(self) -> None:
        for agent in self.agents.values():
            late = self.now - agent.down_since >= self.agent_timeout_s
            if late and not agent.up and agent.status is AgentStatus.REGISTERED:
                self._agent_unreachable(agent)
        for agent, task in self._placed():
            if task.sent_at is not None and self.now - task.sent_at >= task.retry_s:
                pause = min(RETRY_MAX_S, task.retry_s * 2)
                task.sent_at = None
                self._forward(agent, task)
                task.retry_s = pause
