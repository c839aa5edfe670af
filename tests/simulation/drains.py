"""Agents that are drained while everything else happens: what is there moves away, whatever fails meanwhile.

Drains have chances of their own, so that the seeds without one mean what they always meant.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from integration.mesos.fake import AgentStatus
from reconciler.model.control import GLOBAL
from state.codec import decode_operator
from state.memory import OPERATOR

if TYPE_CHECKING:
    from tests.simulation.world import World

EVERY, DRAINED = 7, 2
"""Which seeds have a drain."""


def schedule(world: World, seconds: float) -> None:
    """Some agent is drained at some moment; perhaps it is given back before the end."""
    if world.seed % EVERY != DRAINED:
        return
    rng = random.Random(world.seed)
    agent = world.mesos.agents[rng.choice(sorted(world.mesos.agents))]
    name = rng.choice([agent.id, agent.hostname])
    begin = 8 + rng.random() * (seconds - 10)
    world.sim.after(begin, partial(world.users.ask, GLOBAL, "drain", agent=name))
    if rng.random() < 0.4:
        world.sim.after(begin + rng.random() ** 2 * 40, partial(world.users.ask, GLOBAL, "undrain", agent=name))


def drained(world: World) -> list[str]:
    """Ids and hostnames of the agents that are drained now."""
    node = world.tree.operator.get(OPERATOR)
    return [drain.agent for drain in decode_operator(node.data).draining] if node is not None else []


def heal(world: World) -> None:
    """When faults end: an agent is given back if the others that are left could not hold everything."""
    names = drained(world)
    others = [
        agent
        for agent in world.mesos.agents.values()
        if agent.status is not AgentStatus.GONE and not {agent.id, agent.hostname} & set(names)
    ]
    if len(others) < 2:
        for name in names:
            world.users.ask(GLOBAL, "undrain", agent=name)


def left(world: World) -> str | None:
    """What still runs on a drained agent."""
    names = set(drained(world))
    for task_id, info in world.mesos.running().items():
        agent = world.mesos.agents[info.agent_id]
        if not {agent.id, agent.hostname} & names or any(uid in task_id for uid in world.monitor.kept):
            continue
        record = world.monitor.record(task_id.partition(".")[0])
        if record is None or record.blocked not in world.excuses:  # a blocked job waits for a person where it is
            return f"{task_id} is left on {agent.id}, which is drained"
    return None
