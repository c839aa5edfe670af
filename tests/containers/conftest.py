"""One stack for the whole session, every part in a container of its own, and one stateful job on it.

These suites fail where no container engine can be had: `WEIR_SKIP_CONTAINERS=1`, set by hand, leaves them out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator

import pytest

from integration.containers import ContainersError, WeirStack
from integration.containers.engine import ensure_engine
from tests.containers.job import NAME, Job

_STACK = pytest.StashKey[WeirStack]()
_TAIL = 25  # lines of each member's log that a failed test shows


def pytest_ignore_collect() -> bool | None:
    """Left out by hand only."""
    return True if os.environ.get("WEIR_SKIP_CONTAINERS") == "1" else None


@pytest.fixture(scope="session")
def weir(pytestconfig: pytest.Config) -> Iterator[WeirStack]:
    """3 ZooKeeper servers, a Mesos master, 3 agents with Flink, 3 replicas."""
    stack = WeirStack(replicas=3, agents=3, zookeepers=3)
    try:
        ensure_engine()
        stack.up()
    except ContainersError as error:
        pytest.fail(f"the stack of containers does not start: {error}", pytrace=False)
    pytestconfig.stash[_STACK] = stack
    yield stack
    stack.down()


@pytest.fixture(scope="session")
def shared_job(weir: WeirStack) -> Iterator[Job]:
    job = Job(weir)
    job.feeder.start()
    weir.apply(job.spec, NAME)
    weir.wait_for(NAME, "STABLE")
    yield job
    job.feeder.finish()


@pytest.fixture
def job(shared_job: Job) -> Iterator[Job]:
    """The job while it runs as wanted; afterwards every fault that the test left is undone."""
    shared_job.runs()
    shared_job.progresses()
    yield shared_job
    shared_job.weir.restore()


@pytest.fixture
def undisturbed(job: Job) -> Iterator[Callable[[], None]]:
    """When it is called, and at the end: rows went on, and neither Flink nor Mesos knows of a restart."""
    before = job.runs()

    def check() -> None:
        job.progresses()
        assert job.runs() == before

    yield check
    job.weir.restore()
    check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the ends of the members' logs."""
    report = yield
    stack = item.config.stash.get(_STACK, None)
    if report.failed and stack is not None:
        for member in stack.members():
            if member.state != "removed":
                report.sections.append((f"{member.name} ({member.state})", stack.logs(member.name, tail=_TAIL)))
    return report
