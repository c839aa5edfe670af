"""The faults that are injected, each a function of the world; a seed decides which, when and for how long.

`OPERATOR` are faults of the operator's own side: after them nothing may have been done twice (L2).
`WORLD` are faults of Mesos, Flink and storage, which cost restarts but never state.
The numbers are those of the catalogue in `docs/failure-modes.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from integration.flink.fake import EVERYTHING
from integration.flink.fake_cluster import Cluster
from integration.mesos.fake import AgentStatus, CallFault
from integration.mesos.fake_state import FakeAgent
from reconciler.model import ids
from reconciler.model.observation import TaskState

if TYPE_CHECKING:
    from tests.simulation.replica import Replica
    from tests.simulation.world import World

Fault = Callable[["World"], None]


def _leading(world: World) -> Replica:
    """The leader; a random replica while nobody leads."""
    return world.leader() or world.rng.choice(world.replicas)


def _say(world: World, what: str) -> None:
    world.sim.say("fault", what)


# The operator's side


def crash_leader(world: World) -> None:
    """17, 18, 22: at any moment."""
    _leading(world).crash("killed", down_s=0.5 + world.rng.random() * 5)


def crash_soon(world: World) -> None:
    """17, 18, 22, 39, 42: right after one of the next calls took effect, before its answer."""
    world.crash_at = world.calls + world.rng.randint(1, 12)


def crash_everybody(world: World) -> None:
    """24, 63: nobody operates for a while."""
    down = 3 + world.rng.random() ** 2 * 40
    for replica in world.replicas:
        replica.crash("killed together", down_s=down + world.rng.random())


def pause_leader(world: World) -> None:
    """2, 6, 10: it wakes late and goes on where it was."""
    _leading(world).pause(0.2 + world.rng.random() ** 2 * 20)


def pause_soon(world: World) -> None:
    """2, 10: it falls asleep with a call in its hand, which arrives when another one leads."""
    world.pause_in = world.rng.randint(1, 10)


def lose_zookeeper(world: World) -> None:
    """3, 5, 6: SUSPENDED, perhaps for longer than the session lasts."""
    _leading(world).cut_off(0.2 + world.rng.random() ** 2 * 15)


def expire_session(world: World) -> None:
    """4, 5: the ensemble gives the leader's session up although it is connected."""
    _say(world, "the leader's session expires")
    _leading(world).session.expire()


def store_fails(world: World) -> None:
    """9: calls fail before or after they were applied."""
    applied = world.rng.random() < 0.5
    call = world.rng.choice([None, "commit", "load_record", "load_jobs"])
    _say(world, f"ZooKeeper fails the next {call or 'call'}, {'after' if applied else 'before'} applying it")
    _leading(world).session.fail_next(world.rng.randint(1, 3), call=call, applied=applied)


def lag_behind(world: World) -> None:
    """1: reads go to a follower that stays behind for a while."""
    session = _leading(world).session
    session.lag()
    _say(world, "the leader's reads lag behind")

    def caught_up() -> None:
        session.catch_up()
        session.notify()

    world.sim.after(world.rng.random() * 8, caught_up)


def lose_watches(world: World) -> None:
    """15: watch events are lost; the periodic resync has to find what changed."""
    session = _leading(world).session
    session.lose_watch_events = True
    _say(world, "watch events are lost")

    def again() -> None:
        session.lose_watch_events = False

    world.sim.after(world.rng.random() * 10, again)


def break_stream(world: World) -> None:
    """30: the Mesos stream breaks and is made anew."""
    leadership = _leading(world).leadership
    if leadership is not None:
        _say(world, "the leader's stream from Mesos breaks")
        world.mesos.disconnect(leadership.cluster.inner)
        world.poke()


def cut_from_master(world: World) -> None:
    """26, 30: no connection between the leader and the master for a while; ZooKeeper is there."""
    leadership = _leading(world).leadership
    if leadership is not None:
        seconds = 0.5 + world.rng.random() ** 2 * 30
        _say(world, f"{leadership.replica.name} cannot reach the master for {seconds:.1f} s")
        leadership.replica.no_master_until = world.sim.now + seconds
        world.mesos.disconnect(leadership.cluster.inner)
        world.sim.after(seconds, world.poke)


def half_open_stream(world: World) -> None:
    """30: the stream is dead and nobody knows it yet: events vanish until the missing heartbeats are noticed."""
    leadership = _leading(world).leadership
    if leadership is not None:
        seconds = 1 + world.rng.random() * 15
        _say(world, f"the stream of {leadership.replica.name} is half open for {seconds:.1f} s")
        leadership.deaf_until = world.sim.now + seconds
        inner = leadership.cluster.inner
        world.sim.after(seconds, world.mesos.disconnect, inner)


def rescind_offers(world: World) -> None:
    """29: every offer that is out is taken back, and so are those of the next seconds."""
    _say(world, "offers are rescinded")

    def again(times: int) -> None:
        for offer_id in sorted(world.mesos.offers):
            world.mesos.rescind(offer_id)
        world.poke()
        if times:
            world.sim.after(world.rng.random() * 2, again, times - 1)

    again(world.rng.randint(0, 4))


def lose_calls(world: World) -> None:
    """19, 34, 36: calls to Mesos fail, vanish, or end without an answer."""
    fault = world.rng.choice(list(CallFault))
    _say(world, f"calls to Mesos: {fault.value}")
    world.weather.call_faults = {fault: 0.2 + world.rng.random() * 0.5}
    seconds = 0.5 + world.rng.random() * 4
    world.sim.after(seconds, world.clear_calls)
    if fault in (CallFault.SILENT, CallFault.UNAVAILABLE):
        # A driver skips calls, and a master drops them, while the scheduler is not connected.
        world.sim.after(seconds, break_stream, world)


def lose_updates(world: World) -> None:
    """21, 22: status updates get lost, or come twice."""
    world.weather.update_lost = world.rng.random() * 0.4
    world.weather.update_twice = world.rng.random() * 0.4
    _say(world, "status updates are lost or repeated")
    world.sim.after(0.5 + world.rng.random() * 6, world.clear_updates)


def slow_down(world: World) -> None:
    """Calls of one lane take much longer, so that everything overlaps."""
    lane = world.rng.choice(["mesos", "store", "flink"])
    world.weather.slow = {lane: 5 + world.rng.random() * 50}
    _say(world, f"calls of the lane {lane} are slow")
    world.sim.after(1 + world.rng.random() * 6, world.clear_slow)


def jump_clock(world: World) -> None:
    """59: the wall clocks of two leaders differ by up to an hour, and leadership changes."""
    for replica in world.replicas:
        replica.offset = world.rng.choice([0.0, 0.0, -3600.0, 3600.0, 30.0, -30.0])
    _say(world, "clocks: " + ", ".join(f"{replica.name} {replica.offset:+g} s" for replica in world.replicas))
    crash_leader(world)


# The world


def fail_over_master(world: World) -> None:
    """26: a new master knows agents from the registry, tasks only when agents come back."""
    if not world.master_is_up:
        return
    _say(world, "the Mesos master dies")
    world.master_is_up = False
    world.mesos.master_down()
    agents = world.rng.random() < 0.5

    def back() -> None:
        if world.master_is_up:
            return
        world.master_is_up = True
        _say(world, f"a new Mesos master leads, agents {'are back' if agents else 'come back later'}")
        world.mesos.master_up(agents=agents)
        world.poke()
        for agent in world.mesos.agents.values():
            if not agents and agent.up and agent.status is AgentStatus.RECOVERED:
                world.sim.after(world.rng.random() * 40, world.agent_back, agent)

    world.sim.after(0.5 + world.rng.random() * 8, back)


def partition_agent(world: World) -> None:
    """27, 61: the master, and perhaps everybody, cannot reach an agent whose tasks go on running."""
    agent = _agent(world)
    if agent is None:
        return
    cut = world.rng.random() < 0.6
    _say(world, f"agent {agent.id} is partitioned{' together with its tasks' if cut else ''}")
    world.mesos.agent_down(agent.id)
    if cut:
        world.flink.unreachable.update(agent.tasks)
    world.sim.after(1 + world.rng.random() * 45, world.agent_back, agent)


def reboot_agent(world: World) -> None:
    """32: a host dies with its tasks and comes back."""
    agent = _agent(world)
    if agent is not None:
        _say(world, f"agent {agent.id} reboots")
        world.mesos.agent_down(agent.id, processes_die=True)
        world.sim.after(1 + world.rng.random() * 45, world.agent_back, agent)


def lose_agent(world: World) -> None:
    """An agent is marked gone for good; another one is added."""
    agent = _agent(world)
    if agent is not None:
        _say(world, f"agent {agent.id} is gone")
        world.mesos.mark_gone(agent.id)
        world.add_agent()
        world.poke()


def fail_task(world: World) -> None:
    """A process dies on its own."""
    running = sorted(world.mesos.running())
    if running:
        end_task(world, world.rng.choice(running))


def end_task(world: World, task_id: str) -> None:
    """The process dies, and its agent reports it."""
    _say(world, f"{task_id} dies")
    world.flink.advance(world.sim.now)
    world.flink.task_dead(task_id)
    world.mesos.set_state(task_id, TaskState.FAILED, None, "exit status 137")
    world.poke()


def silence_flink(world: World) -> None:
    """46: REST does not answer, of one JobManager or of all."""
    running = sorted(world.mesos.running())
    if not running:
        return
    silent = world.rng.choice([EVERYTHING, *running])
    _say(world, f"no REST answers from {silent}")
    world.flink.unreachable.add(silent)
    world.sim.after(1 + world.rng.random() * 15, world.flink.unreachable.discard, silent)


def lose_rest(world: World) -> None:
    """38: requests or their answers are lost."""
    world.weather.rest_lost = 0.2 + world.rng.random() * 0.5
    _say(world, "REST requests and answers are lost")
    world.sim.after(1 + world.rng.random() * 6, world.clear_rest)


def fail_savepoints(world: World) -> None:
    """51, 55: the next savepoints fail."""
    _say(world, "savepoints fail")
    world.flink.fail_savepoints += world.rng.randint(1, 2)


def break_stops(world: World) -> None:
    """41: the next stop writes its savepoint and then fails."""
    _say(world, "the next stop fails although its savepoint is written")
    world.flink.break_stops += 1


def forget_results(world: World) -> None:
    """40, 63: Flink forgets the results of operations."""
    _say(world, "Flink forgets its results")
    world.flink.forget_results()


def blind_flink(world: World) -> None:
    """54: Flink's ZooKeeper or the storage does not answer."""
    if world.rng.random() < 0.5:
        world.flink.zookeeper_down = True
    else:
        world.flink.storage_down = True
    _say(world, "Flink's ZooKeeper or the storage does not answer")

    def again() -> None:
        world.flink.zookeeper_down = world.flink.storage_down = False

    world.sim.after(1 + world.rng.random() * 10, again)


def _jobs(world: World) -> list[Cluster]:
    return sorted(world.flink.all_jobs(), key=lambda cluster: (cluster.cluster_id, cluster.job_id))


def fail_job(world: World) -> None:
    """56: an exception in the job; Flink restarts it or gives up."""
    active = [cluster for cluster in _jobs(world) if cluster.active]
    if active:
        recovers = world.rng.random() < 0.5
        cluster = world.rng.choice(active)
        _say(world, f"{cluster.cluster_id} throws an exception{', Flink restarts it' if recovers else ''}")
        world.flink.advance(world.sim.now)
        if cluster.active:
            world.flink.fail_job(cluster.job_id, "java.lang.RuntimeException: injected", recovers=recovers)


def finish_job(world: World) -> None:
    """56: a bounded job comes to its end; its state ends with it."""
    world.flink.advance(world.sim.now)
    active = [cluster for cluster in _jobs(world) if cluster.active and cluster.job and cluster.job.running_since]
    if active and world.rng.random() < 0.3:
        cluster = world.rng.choice(active)
        _say(world, f"{cluster.cluster_id} finishes")
        world.monitor.stateless.add(cluster.uid)
        world.flink.finish_job(cluster.job_id)


def lose_ha_data(world: World) -> None:
    """45: somebody deletes Flink's HA data of a job with one JobManager; the next checkpoint writes it anew."""
    single = {name for name in world.users.names if world.users.job_managers(name) == 1}
    clusters = [c for _, c in sorted(world.flink.clusters.items()) if c.active and c.pointers]
    found = [c for c in clusters if len(c.job_managers) == 1 and c.cluster_id.rsplit("-", 2)[0] in single]
    if found:
        cluster = world.rng.choice(found)
        _say(world, f"the HA data of {cluster.cluster_id} is deleted")
        cluster.pointers = ()


def lose_snapshot(world: World) -> None:
    """43: somebody deletes the newest state of a job."""
    if world.rng.random() < 0.7 or not world.flink.snapshots:
        return
    uids = sorted({snapshot.uid for snapshot in world.flink.snapshots.values()})
    uid = world.rng.choice(uids)
    found = [snapshot for snapshot in world.flink.snapshots.values() if snapshot.uid == uid]
    newest = max(found, key=lambda snapshot: (snapshot.generation, snapshot.checkpoint_id))
    _say(world, f"{newest.path} is deleted by somebody")
    del world.flink.snapshots[newest.path]
    world.lost_paths.add(newest.path)
    world.excuses.add("RESTORE_BLOCKED")


def hide_tree(world: World) -> None:
    """13: the desired tree is gone for a while."""
    if not world.tree_is_away and world.rng.random() < 0.5:
        back_after = 0.5 + world.rng.random() * 10
        if world.users.all_known():  # a delete that nobody saw is a loss like the others, and a new node puts it back
            world.users.hide_tree()
            world.sim.after(back_after, world.users.show_tree)


def lose_tree(world: World) -> None:
    """13: the desired tree is deleted, created again, and filled from a copy."""
    if not world.tree_is_away and world.rng.random() < 0.5:
        world.users.lose_tree(world.rng.random() ** 2 * 15)


OPERATOR: tuple[Fault, ...] = (
    crash_leader, crash_leader, crash_soon, crash_soon, crash_soon, crash_everybody, pause_leader, pause_soon,
    pause_soon,
    lose_zookeeper, lose_zookeeper, expire_session, store_fails, store_fails, lag_behind, lose_watches, break_stream,
    cut_from_master, half_open_stream, rescind_offers, lose_calls, lose_calls, lose_updates, lose_updates, slow_down,
    jump_clock,
)  # fmt: skip
WORLD: tuple[Fault, ...] = (
    fail_over_master, partition_agent, partition_agent, reboot_agent, lose_agent, fail_task, fail_task, silence_flink,
    lose_rest, fail_savepoints, break_stops, forget_results, blind_flink, fail_job, finish_job, lose_snapshot,
    lose_ha_data, hide_tree, lose_tree,
)  # fmt: skip


def schedule(world: World, faults: tuple[Fault, ...], count: int, seconds: float) -> None:
    """Plan `count` faults within the next `seconds`."""
    for _ in range(count):
        world.sim.after(world.rng.random() * seconds, _inject, world, world.rng.choice(faults))


def _inject(world: World, fault: Fault) -> None:
    world.faults += 1
    fault(world)


def heal(world: World) -> None:
    """Everything that can come back is back; what is lost for good stays lost."""
    _say(world, "all faults end")
    world.clear_weather()
    world.crash_at = world.pause_in = None
    flink = world.flink
    flink.unreachable.clear()
    flink.zookeeper_down = flink.storage_down = False
    flink.fail_savepoints = flink.break_stops = 0
    world.users.show_tree()
    if not world.master_is_up:
        world.master_is_up = True
        world.mesos.master_up()
    for agent in world.mesos.agents.values():
        world.agent_back(agent)
    for replica in world.replicas:
        replica.no_master_until = float("-inf")
        session = replica.session
        session._failures.clear()
        session.lose_watch_events = False
        session.catch_up()
        if not session.connected:
            session.resume()


def _agent(world: World) -> FakeAgent | None:
    """An agent that is there; preferably one that runs something."""
    here = [a for a in world.mesos.agents.values() if a.up and a.status is AgentStatus.REGISTERED]
    busy = [agent for agent in here if any(ids.parse_task_id(task) for task in agent.tasks)]
    return world.rng.choice(busy or here) if here else None
