"""Three replicas and a running job on a stack with an ensemble of three ZooKeeper servers; see `tests.chaos`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.ground import Ground


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The ground with its job running; for all tests here, which leave it as they found it."""
    with Ground(tmp_path_factory.mktemp("ha"), {"mesos": {"handover_s": 5.0}}) as ground:
        ground.begin()
        yield ground
        ground.complete()


@pytest.fixture
def cuttable(running: Ground) -> None:
    """For tests that cut connections, which only root may do; CI is root."""
    if running.uncuttable is not None:
        pytest.skip(f"connections cannot be cut on this machine: {running.uncuttable}")


@pytest.fixture
def ground(running: Ground) -> Iterator[Ground]:
    """The same; a test that fails says all that is known."""
    running.settle()
    try:
        yield running
    except BaseException:
        print(running.report())
        raise
