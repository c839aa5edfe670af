"""Fixtures that all suites share: the session's local stack of real servers."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from integration.local.artefacts import MESOS_VERSION
from integration.local.config import LocalConfig
from integration.local.errors import LocalStackError
from integration.local.flink_dist import DEFAULT_SERIES, resolve
from integration.local.packages import find_java
from integration.local.stack import LocalStack

# How long an example takes says something about the machine only.
settings.register_profile("unhurried", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("unhurried")

_STACK = pytest.StashKey[LocalStack]()
_VERSIONS = pytest.StashKey[dict[str, str]]()
_TAIL = 40  # lines of each log that a failed test shows


def pytest_report_header() -> list[str]:
    """What the tests marked `stack` run against."""
    java = find_java()
    flink, have = resolve(DEFAULT_SERIES), java.version if java else "missing"
    return [f"stack: Apache Mesos {MESOS_VERSION}, Apache Flink {flink} and the ZooKeeper in it, Java {have}"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[LocalStack]:
    """A real ZooKeeper, two elected Mesos masters and two agents on free ports; stopped at the end of the session.

    Tests share it: whoever kills something starts it again. ``WEIR_TEST_STACK=<state dir>`` uses a stack that runs
    already (and leaves it running).
    """
    if running := os.environ.get("WEIR_TEST_STACK"):
        attached = LocalStack.attach(Path(running)).up()
        pytestconfig.stash[_STACK] = attached
        pytestconfig.stash[_VERSIONS] = attached.versions()
        yield attached
        return
    config = LocalConfig(state_dir=tmp_path_factory.mktemp("stack"), port_base=None, owner_pid=os.getpid())
    local = LocalStack(config)
    try:
        local.up()
    except LocalStackError as error:
        local.down()
        pytest.fail(f"the local stack does not start: {error}", pytrace=False)
    pytestconfig.stash[_STACK] = local
    pytestconfig.stash[_VERSIONS] = local.versions()
    yield local
    local.down(clean=not pytestconfig.getoption("--keep-stack"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of these suites."""
    parser.addoption("--keep-stack", action="store_true", help="keep logs and sandboxes of the session's local stack")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test on the stack shows the ends of the stack's logs."""
    report = yield
    local = item.config.stash.get(_STACK, None)
    if report.failed and local is not None and "stack" in getattr(item, "fixturenames", ()):
        for path in sorted((local.state_dir / "logs").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-_TAIL:]
            report.sections.append((f"log of {path.stem}", "\n".join(lines)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The versions that the real servers reported."""
    if versions := config.stash.get(_VERSIONS, None):
        terminalreporter.write_line("stack: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
