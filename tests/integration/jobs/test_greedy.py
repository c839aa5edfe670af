"""A second framework that takes all it can get: neither starves the other, and each keeps to its role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation, ask
from reconciler.app.demo.story import poll
from reconciler.model.record import Role
from tests.integration.jobs import greedy
from tests.integration.jobs.greedy import Greedy

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any
ROLE = "flink"
CPUS, MEM_MB = 0.95, 1000.0
"""Four of these leave 0.2 cpus and 96 MiB of an agent: offers, but none that a JobManager fits into."""
TASKS = 8


@pytest.fixture
def weir(stack: LocalStack, world: World, tmp_path: Path) -> Iterator[World]:
    """A replica of its own whose framework has a role of its own."""
    mesos = {"master": stack.master_url, "framework_name": "weir-sharing", "roles": [ROLE]}
    with Installation(
        stack, tmp_path, root="/weir-sharing", replicas=1, prefix="sharing", settings={"mesos": mesos}
    ) as installation:
        made = type(world)(installation, tmp_path, world.receiver)
        installation.start()
        poll("it is registered", installation.framework_id, 60.0, tick=installation.check)
        try:
            yield made
        finally:
            for job in made.jobs:
                job.feeder.finish()
                job.say()
                if installation.exists(f"{installation.root}/jobs/{job.name}"):
                    installation.delete(job.name)
            poll("its tasks have ended", lambda: not installation.live_tasks(), 120.0)
            installation.stop()


@pytest.fixture
def other(stack: LocalStack) -> Iterator[Greedy]:
    """The second framework. Weights and limits are as before at the end."""
    made = Greedy(stack, "spark", CPUS, MEM_MB)
    try:
        yield made
    finally:
        print("\n".join(made.history))
        made.close()
        greedy.set_weight(made.url, "spark", 1.0)
        greedy.set_limits(made.url, ROLE)


def offered(stack: LocalStack, framework_id: str) -> float:
    """Cpus that the master says are offered to a framework just now."""
    leader = stack.leader()
    found = ask(f"{leader.url}/master/frameworks") if leader else None
    items = (found or {}).get("frameworks", [])
    return sum(item["offered_resources"]["cpus"] for item in items if item["id"] == framework_id)


def test_neither_of_two_frameworks_starves_the_other(stack: LocalStack, weir: World, other: Greedy) -> None:
    installation = weir.installation
    greedy.set_weight(other.url, "spark", 3.0)
    poll("Weir, which wants nothing, leaves everything to the other", lambda: len(other.running) == TASKS, 120.0)
    assert offered(stack, installation.framework_id()) == 0

    job = weir.jar_evens("guest", onDelete="cancel", placement={"role": ROLE})
    job.put()
    # The others' tasks leave something, so there are offers, and the sentence has their numbers.
    why = r"needs 0\.3 cpus, 704 MiB and \d ports; best offer has 0\.2 cpus on agent-\d"
    job.until("it says what it lacks", lambda: re.search(why, job.view.why()))

    other.give_back(1)
    job.until("its JobManager is placed", lambda: bool(placed(job, Role.JOB_MANAGER)))
    [manager] = placed(job, Role.JOB_MANAGER)
    why = rf"needs 0\.3 cpus, 1024 MiB and \d ports; best offer has 392 MiB on {manager.hostname}"
    job.until("it says what it lacks now", lambda: re.search(why, job.view.why()))
    poll(
        "what ends on the other agent is enough for its TaskManager",
        lambda: given(job, other, manager.agent_id),
        120.0,
        1.0,
    )
    status = job.runs(1)
    assert status.tasks.task_manager == "1/1"
    job.progresses()
    assert len(other.running) == TASKS - 2

    job.delete()
    poll("the other has all of it when the job is gone", lambda: len(other.running) == TASKS, 120.0)
    assert offered(stack, installation.framework_id()) == 0


def given(job: Any, other: Greedy, not_on: str) -> bool:
    """A task of the other ends, as those of a batch do all the time; who gets its place is up to Mesos' fair shares."""
    if placed(job, Role.TASK_MANAGER):
        return True
    if len(other.running) == TASKS - 1:
        other.give_back(1, next(each for each in other.running.values() if each != not_on))
    return False


def test_a_job_that_cannot_be_placed_hoards_nothing(stack: LocalStack, weir: World, other: Greedy) -> None:
    poll("the other has everything", lambda: len(other.running) == TASKS, 120.0)
    job = weir.jar_evens("picky", onDelete="cancel", placement={"role": ROLE, "constraints": [["rack", "IS", "r9"]]})
    job.put()
    job.until("it waits", lambda: "waiting for an offer" in job.view.why())
    for _ in range(2):
        before = other.offers
        other.give_back(TASKS)
        poll("offers reach the other", lambda before=before: other.offers > before, 60.0)
        poll("it has everything again", lambda: len(other.running) == TASKS, 120.0)
    assert "constraint rack IS r9 refuses" in job.view.why()
    assert not placed(job, Role.JOB_MANAGER)


def test_a_limit_of_the_role_holds_a_job_until_it_is_raised(stack: LocalStack, weir: World, other: Greedy) -> None:
    greedy.set_limits(other.url, ROLE, cpus=0.4, mem=3000.0)
    other.close()  # nobody else wants anything: only the limit is in the way
    job = weir.jar_evens("limited", onDelete="cancel", placement={"role": ROLE})
    job.put()
    job.until("its JobManager is placed", lambda: bool(placed(job, Role.JOB_MANAGER)))
    job.until("it says what it lacks", lambda: re.search(r"needs 0\.3 cpus, 1024 MiB", job.view.why()))
    assert not placed(job, Role.TASK_MANAGER)
    greedy.set_limits(other.url, ROLE, cpus=2.0, mem=3000.0)
    job.runs(1)


def placed(job: Any, role: Role) -> list[Any]:
    record = job.installation.record(job.name)
    return [task for task in record.tasks if task.role is role and task.placed] if record else []
