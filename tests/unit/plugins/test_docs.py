"""The examples of docs/plugins.md run, in the order in which they stand there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from plugins import registry, retries
from plugins.notify import build
from plugins.registry import PluginError
from reconciler.model.constraints import Operator, parse
from reconciler.model.retry import TARGETS, Failure
from reconciler.model.status import JobEvent

TEXT = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    """What the Python examples define, after all of them ran in one module, as a reader would paste them."""
    names: dict[str, Any] = {"__name__": "documented"}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"docs/plugins.md, example {number + 1}", "exec"), names)
    return names


def test_the_python_examples_run(ran: dict[str, Any]) -> None:
    assert {"LinearDelay", "PreferAttribute", "Patient", "ToFile"} <= set(ran)


def test_the_notification_example_writes(ran: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "events"

    ran["ToFile"]({"path": str(path)}).send("orders", JobEvent(time="now", code="RUNNING", message="every task runs"))

    assert path.read_text() == "now orders RUNNING every task runs\n"
    with pytest.raises(ValueError, match="path is missing"):
        ran["ToFile"]({})


def test_the_configuration_example_is_accepted() -> None:
    configured = [tomllib.loads(block)["notifications"] for block in blocks("toml") if "[notifications" in block]

    for each in configured:
        try:
            build(each).close()
        except PluginError as error:
            pytest.fail(str(error))
    assert configured


def test_the_retry_example_is_accepted() -> None:
    (configured,) = [tomllib.loads(block)["retry"] for block in blocks("toml") if "[retry" in block]

    assert set(configured) == set(TARGETS)
    assert retries.build(configured).delay(Failure("mesos", "kill", 1, "kill/x")) is not None


def test_the_constraints_example_is_accepted() -> None:
    (document,) = (json.loads(block) for block in blocks("json"))

    assert [parse(each).operator for each in document["placement"]["constraints"]]


def test_every_operator_and_every_plugin_is_in_the_guide() -> None:
    missing = [operator.value for operator in Operator if f"| `{operator.value}` |" not in TEXT]
    for group in (registry.RESTART, registry.PLACEMENT):
        missing += [name for name in registry.load(group) if f"`{name}`" not in TEXT]
    assert missing == []
