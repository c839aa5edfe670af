"""What each class of faults does to the ground, and what it is allowed to cause.

Every function strikes at once and returns a `Struck`: what was done, how it is undone, and the most that it may make
Flink and Mesos start. A class of the control plane allows nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.app.demo import faults
from reconciler.app.demo.story import DemoFailed
from tests.chaos.ground import Ground
from tests.chaos.schedule import Blow


def _nothing() -> None:
    pass


@dataclass
class Struck:
    """A fault that was injected. `launches` by role and `starts` of the vertices are the most that it may cause."""

    what: str
    undo: Callable[[], None] = _nothing
    launches: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    deposes: bool = False
    """Whether another replica has to take the lead."""
    generation: int | None = None
    """The generation that has to run afterwards."""
    parallelism: int | None = None


def strike(ground: Ground, blow: Blow) -> Struck:
    """Inject one fault."""
    return _STRIKES[blow.kind](ground, blow.pick)


# replicas


def _leader_kill(ground: Ground, pick: float) -> Struck:
    leader = ground.leader().replica
    ground.stack.kill(leader)
    return Struck(f"SIGKILL to {leader}, which leads", lambda: ground.stack.start(leader), deposes=True)


def _leader_stop(ground: Ground, pick: float) -> Struck:
    leader = ground.leader().replica
    ground.stack.stop(leader)
    return Struck(f"SIGTERM to {leader}, which leads", lambda: ground.stack.start(leader), deposes=True)


def _leader_pause(ground: Ground, pick: float) -> Struck:
    leader = ground.leader().replica
    ground.stack.pause(leader)
    return Struck(f"SIGSTOP to {leader}, which leads", lambda: ground.stack.resume(leader), deposes=True)


def _cut(ground: Ground, ports: list[int], what: str, *, deposes: bool) -> Struck:
    leader = ground.leader().replica
    ground.cuts.cut(leader, ports)
    return Struck(f"{leader}, which leads, is cut off from {what}", lambda: ground.cuts.heal(leader), deposes=deposes)


def _cut_zookeeper(ground: Ground, pick: float) -> Struck:
    return _cut(ground, ground.zookeeper_ports(), "ZooKeeper", deposes=True)


def _cut_mesos(ground: Ground, pick: float) -> Struck:
    return _cut(ground, ground.mesos_ports(), "the Mesos masters", deposes=False)


def _cut_both(ground: Ground, pick: float) -> Struck:
    return _cut(ground, ground.zookeeper_ports() + ground.mesos_ports(), "ZooKeeper and Mesos", deposes=True)


# servers


def _zookeeper_kill(ground: Ground, pick: float) -> Struck:
    server = ground.until("a ZooKeeper server leads", ground.stack.zookeeper_leader)
    ground.stack.kill(server)
    return Struck(f"SIGKILL to {server}, which leads the ensemble", lambda: ground.stack.start(server))


def _zookeeper_restart(ground: Ground, pick: float) -> Struck:
    """All of them, and at once back: how long an outage Flink tolerates is a setting of Flink's."""
    servers = ground.stack.layout.zookeepers
    for server in servers:
        ground.stack.kill(server)
    for server in servers:
        ground.stack.start(server)
    return Struck(f"SIGKILL to all {len(servers)} ZooKeeper servers; started again")


def _master_kill(ground: Ground, pick: float) -> Struck:
    master = ground.until("a master leads", ground.stack.leader).name
    ground.stack.kill(master)
    return Struck(f"SIGKILL to {master}, which leads", lambda: ground.stack.start(master))


def _agent_restart(ground: Ground, pick: float) -> Struck:
    """The agent's own process; its tasks live on and are adopted."""
    hosts = sorted(set((ground.job.tasks("jm") | ground.job.tasks("tm")).values()) - {None}, key=str)
    agent = str(_choose(hosts, pick))
    ground.stack.kill(agent)
    ground.stack.start(agent)
    return Struck(f"SIGKILL to {agent}, its tasks live on; started again")


# the job


def _task_kill(ground: Ground, role: str, pick: float) -> Struck:
    victim = _choose(sorted(ground.job.tasks(role)), pick)
    faults.kill_task(ground.weir, victim)
    return Struck(f"SIGKILL to {victim}", launches=Counter({role: 1}), starts=1 + ground.parallelism)


def _taskmanager_kill(ground: Ground, pick: float) -> Struck:
    return _task_kill(ground, "tm", pick)


def _jobmanager_kill(ground: Ground, pick: float) -> Struck:
    return _task_kill(ground, "jm", pick)


def _host_kill(ground: Ground, pick: float) -> Struck:
    """Agent, executors and tasks."""
    tasks = ground.job.tasks("jm") | ground.job.tasks("tm")
    agent = str(_choose(sorted(set(tasks.values()) - {None}, key=str), pick))
    lost = [task for task, host in tasks.items() if host == agent]
    ground.stack.kill(faults.host_of(agent))
    launches = Counter("jm" if ".jm." in task else "tm" for task in lost)
    # Its end may be seen one task after the other.
    starts = len(lost) + 1 + ground.parallelism
    return Struck(
        f"SIGKILL to {faults.host_of(agent)} with {', '.join(lost)}",
        lambda: ground.stack.start(agent),
        launches,
        starts,
    )


def _upgrade(ground: Ground, mode: str) -> Struck:
    generation = (ground.status().generation or 0) + 1
    ground.wanted["job"]["upgradeMode"] = mode
    ground.write(restartNonce=ground.wanted.get("restartNonce", 0) + 1)
    launches = Counter({"jm": 1, "tm": ground.parallelism})
    return Struck(
        f"an upgrade to generation {generation} by {mode}", launches=launches, starts=1 + ground.parallelism,
        generation=generation,
    )  # fmt: skip


def _upgrade_savepoint(ground: Ground, pick: float) -> Struck:
    return _upgrade(ground, "savepoint")


def _upgrade_last_state(ground: Ground, pick: float) -> Struck:
    return _upgrade(ground, "last-state")


def _rescale(ground: Ground, pick: float) -> Struck:
    before = ground.parallelism
    wanted = 2 if before == 1 else 1
    ground.wanted["job"]["parallelism"] = wanted
    ground.write()
    launches = Counter({"tm": max(0, wanted - before)})
    return Struck(f"parallelism {before} to {wanted}", launches=launches, starts=2, parallelism=wanted)


def _choose(among: list[str] | list[str | None], pick: float) -> str:
    if not among:
        raise DemoFailed("nothing of the job runs that could be struck")
    return str(among[int(pick * len(among))])


_STRIKES: dict[str, Callable[[Ground, float], Struck]] = {
    "leader-kill": _leader_kill,
    "leader-stop": _leader_stop,
    "leader-pause": _leader_pause,
    "cut-zookeeper": _cut_zookeeper,
    "cut-mesos": _cut_mesos,
    "cut-both": _cut_both,
    "zookeeper-kill": _zookeeper_kill,
    "zookeeper-restart": _zookeeper_restart,
    "master-kill": _master_kill,
    "agent-restart": _agent_restart,
    "taskmanager-kill": _taskmanager_kill,
    "jobmanager-kill": _jobmanager_kill,
    "host-kill": _host_kill,
    "upgrade-savepoint": _upgrade_savepoint,
    "upgrade-last-state": _upgrade_last_state,
    "rescale": _rescale,
}
