"""What must be true at the end of a run: L1 (converged, then silent) and L2 (nothing done twice)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.diff import DiffClass, diff_class
from reconciler.model import ids
from reconciler.model.record import Generation, Lifecycle, Record
from reconciler.model.spec import JobSpec
from tests.simulation import drains

if TYPE_CHECKING:
    from tests.simulation.world import World

SILENCE_S = 36.0
"""Longer than the periodic resync, so that one of them is in it."""


def unsettled(world: World) -> str | None:
    """None when actual equals desired for every job; else one sentence about the first that differs."""
    leader = world.leader()
    if leader is None:
        return "no replica leads"
    paused = world.users.pauses()
    if paused is not None:
        return paused
    for name in sorted(world.users.names):
        why = _job_unsettled(world, name)
        if why is not None:
            return f"{name}: {why}"
    return drains.left(world)


def _job_unsettled(world: World, name: str) -> str | None:
    record = world.monitor.record(name)
    users = world.users
    acceptable = users.acceptable(name) if users.exists(name) else []
    absent = record is None or record.lifecycle is Lifecycle.DELETED
    if absent and (not acceptable or not users.latest_is_valid(name)):
        return _surplus(world, name, 0, set())
    if record is None or record.lifecycle is Lifecycle.DELETED:
        return "it is desired, but there is no record"
    if record.blocked is not None:
        return _why_blocked(world, record)
    if not acceptable:
        return f"nothing is desired, but it is {record.lifecycle.value}"
    if record.uid != users.uid(name):
        return f"the life {record.uid} of the name has not ended"
    return _running(world, record, acceptable)


def _why_blocked(world: World, record: Record) -> str | None:
    """A job may end up blocked, with a reason, when something was really lost."""
    if not record.blocked_why:
        return f"blocked ({record.blocked}) without a reason"
    return None if record.blocked in world.excuses else f"blocked: {record.blocked} {record.blocked_why}"


def _running(world: World, record: Record, acceptable: list[JobSpec]) -> str | None:
    generation, name = record.generation, record.name
    states = {spec.job.state for spec in acceptable}
    if record.lifecycle is Lifecycle.SUSPENDED and "suspended" in states:
        return _surplus(world, name, 0, set())
    if states == {"suspended"} and record.lifecycle is not Lifecycle.FINISHED:
        return f"is to be suspended, but is {record.lifecycle.value}"
    if generation is None:
        return f"has no generation, but is {record.lifecycle.value}"
    if record.lifecycle is Lifecycle.FINISHED:
        if record.uid not in world.monitor.stateless:
            return "is FINISHED, but nothing finished it"
        return _surplus(world, name, 0, set())
    wanted = acceptable
    if record.rolled_back is not None and record.rolled_back == record.spec:  # somebody asked for that
        instead = record.rollback_to or record.stable_spec
        wanted = [instead] if instead is not None else []
    if record.lifecycle is not (Lifecycle.STABLE if wanted is acceptable else Lifecycle.ROLLED_BACK):
        return f"is {record.lifecycle.value}"
    matching = [spec for spec in wanted if diff_class(generation.spec, spec) is DiffClass.NONE]
    if not matching:
        return "runs another spec than the desired one"
    if record.savepoint is not None:
        return "a savepoint is under way"
    if generation.spec.is_session:
        return _session_running(world, record, generation)
    cluster = world.flink.clusters.get(generation.cluster_id)
    if cluster is not None and generation.session is not None:
        cluster = cluster.members.get(generation.job_id)
    if cluster is None or cluster.job is None or cluster.job.running_since is None:
        return f"is STABLE, but generation {generation.number} does not run"
    spec = generation.spec
    return _surplus(world, name, spec.job_managers() + spec.task_managers(), {(record.uid, generation.number)})


def _session_running(world: World, record: Record, generation: Generation) -> str | None:
    cluster, spec = world.flink.clusters.get(generation.cluster_id), generation.spec
    if cluster is None or len(cluster.registered(world.sim.now, world.flink.timing)) < spec.task_managers():
        return f"is STABLE, but generation {generation.number} has too few TaskManagers"
    return _surplus(world, record.name, spec.job_managers() + spec.task_managers(), {(record.uid, generation.number)})


def _surplus(world: World, name: str, wanted: int, of: set[tuple[str, int]]) -> str | None:
    """Exactly the wanted processes of the right generation run; those that were to be kept do not count."""
    count = 0
    for task_id in world.mesos.running():
        task = ids.parse_task_id(task_id)
        assert task is not None
        if task.job != name or task.uid in world.monitor.kept:
            continue
        if (task.uid, task.generation) not in of:
            return f"{task_id} still runs"
        count += 1
    return None if count == wanted else f"{count} of {wanted} tasks run"


def settle(world: World, limit_s: float) -> str | None:
    """Run until everything is as desired; None, or what still differs after `limit_s` virtual seconds."""
    deadline = world.sim.now + limit_s
    why = unsettled(world)
    while why is not None and world.sim.now < deadline:
        if world.users.pauses() is not None:
            world.users.unpause_all()
        world.users.confirm_deleted()
        world.run(2.0)
        why = unsettled(world)
    return why


def noise(world: World, limit_s: float) -> str | None:
    """Run on until nothing is written and nothing called for a while (L1); what was, if that never comes."""
    monitor, deadline = world.monitor, world.sim.now + limit_s
    while True:
        before = (monitor.commits, monitor.effects, len(world.mesos.calls))
        world.run(SILENCE_S)
        after = (monitor.commits, monitor.effects, len(world.mesos.calls))
        if before == after and (why := unsettled(world)) is None:
            return None
        if before == after and world.sim.now >= deadline:
            return why
        if world.sim.now >= deadline:
            calls = world.mesos.calls[before[2] :]
            return f"{after[0] - before[0]} writes, {after[1] - before[1]} effects, calls {calls} and nothing happens"
