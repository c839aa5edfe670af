"""The example package is installed with pip, found through its entry points, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins import registry, retries
from plugins.guard import BoundedRestart, TimedPlacement
from reconciler.model.observation import TaskState
from reconciler.model.policy import Policy
from reconciler.model.record import Role
from reconciler.model.retry import Failure
from reconciler.model.spec_parse import SpecLimits, parse_spec
from reconciler.place import place
from tests.unit.decide.scenario import Scenario, spec
from tests.unit.place.worlds import offer, request
from tests.unit.plugins.wheels import build_wheel

EXAMPLE = Path(__file__).parents[3] / "examples" / "weir-plugin-example"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of its own with the package in it; the environment of the tests stays as it is."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(EXAMPLE, tmp_path_factory.mktemp("wheel"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--target",
        str(folder),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def installed(target: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(target))
    yield
    for name in [name for name in sys.modules if name.startswith("weir_plugin_example")]:
        del sys.modules[name]


def test_a_process_with_the_package_finds_its_strategies(target: Path) -> None:
    code = (
        "import json; from plugins import registry; "
        "print(json.dumps([sorted(registry.load(g)) for g in (registry.RESTART, registry.PLACEMENT)]))"
    )
    root = EXAMPLE.parents[1]
    path = os.pathsep.join([str(target), str(root)])

    out = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True,
        text=True, timeout=60,
    ).stdout  # fmt: skip

    restart, placement = json.loads(out.splitlines()[-1])
    assert "linear-delay" in restart
    assert {"exponential-delay", "fixed-delay", "failure-rate", "none"} <= set(restart)
    assert {"prefer-attribute", "spread", "pack"} <= set(placement)


def test_the_restart_strategy_of_the_package_decides(installed: None) -> None:
    strategies = registry.load(registry.RESTART)
    assert isinstance(strategies["linear-delay"], BoundedRestart)
    restart: dict[str, Any] = {"strategy": "linear-delay", "options": {"step": "15"}, "jitter": 0}
    job = Scenario(spec(restart=restart), Policy(storage="file:///srv/weir", restart_strategies=strategies))
    job.bring_up()

    waits = []
    for _ in range(5):
        job.mesos(job.of(Role.TASK_MANAGER)[0], TaskState.FAILED)
        job.settle()
        assert job.record is not None
        waits.append(job.record.restarts.delay)
        job.now = job.record.restarts.next_at
        job.place()
        job.run_tasks()
        job.settle()

    assert waits == [15.0, 30.0, 45.0, 60.0, 60.0]
    assert "STRATEGY_FAILED" not in job.events


def test_the_placement_strategy_of_the_package_decides(installed: None) -> None:
    strategies = registry.load(registry.PLACEMENT)
    assert isinstance(strategies["prefer-attribute"], TimedPlacement)
    wanted = [
        request(n, cpus=2.0, strategy="prefer-attribute", options={"attribute": "disk", "value": "ssd"})
        for n in range(3)
    ]

    outcome = place(wanted, [offer("a1", 16.0), offer("a2", 4.0, attributes={"disk": "ssd"})], strategies)

    assert [each.agent_id for each in outcome.assignments] == ["a2", "a2", "a1"]
    assert outcome.problems == {}


def test_the_retry_policy_of_the_package_decides(installed: None) -> None:
    found = retries.build({"flink": {"policy": "patient", "step": "2"}})

    first, second = (found.delay(Failure("flink", "stop", attempt, "stop/1")) for attempt in (1, 2))
    assert first is not None
    assert second is not None
    assert 2 <= first < 4 <= second < 6
    assert found.delay(Failure("flink", "stop", 1, "stop/1", "Access Denied")) == retries.LONGEST_S


def test_the_spec_of_the_readme_is_accepted_where_the_package_is_installed(installed: None) -> None:
    text = (EXAMPLE / "README.md").read_text().split("```json\n")[1].split("```")[0]
    limits = SpecLimits(
        restart_strategies=frozenset(registry.load(registry.RESTART)),
        placement_strategies=frozenset(registry.load(registry.PLACEMENT)),
    )

    assert parse_spec("orders", text.encode(), limits).restart.options == {"step": "15"}
