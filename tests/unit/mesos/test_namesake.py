"""A new framework is not registered beside one of the same name whose tasks run."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from integration.mesos import namesake
from reconciler.model.events import FrameworkNamesake, Subscribed

RUNNING = {"id": "t1", "state": "TASK_RUNNING"}


def find(*frameworks: dict[str, Any], status: int = 200) -> str | None:
    answer = httpx.Response(status, json={"frameworks": list(frameworks)})
    return namesake.find("master:5050", "weir", "Basic x", 1.0, httpx.MockTransport(lambda _: answer))


def test_f65_a_namesake_with_live_tasks_is_named_with_what_to_do() -> None:
    said = find({"id": "fw-1", "name": "weir", "tasks": [RUNNING, {"state": "TASK_FINISHED"}]})
    assert said is not None
    assert "fw-1" in said
    assert "1 live tasks" in said
    assert "framework_name" in said


def test_f65_tasks_that_the_master_cannot_see_may_still_run() -> None:
    assert find({"id": "fw-1", "name": "weir", "tasks": [], "unreachable_tasks": [{"id": "t1"}]}) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"id": "fw-1", "name": "weir", "tasks": []},
        {"id": "fw-1", "name": "weir", "tasks": [{"state": "TASK_KILLED"}]},
        {"id": "fw-1", "name": "marathon", "tasks": [RUNNING]},
    ],
)
def test_others_are_no_reason_to_refuse(other: dict[str, Any]) -> None:
    assert find(other) is None


def test_a_master_that_does_not_let_us_look_does_not_keep_us_out() -> None:
    assert find(status=403) is None


def test_a_master_that_is_not_ready_is_asked_again() -> None:
    with pytest.raises(httpx.HTTPError):
        find(status=503)


def test_f65_an_empty_tree_does_not_register_beside_a_namesake(master: Any, kit: Any) -> None:
    master.frameworks = [{"id": "fw-0", "name": "weir", "tasks": [RUNNING]}]
    cluster, sink = kit.cluster(master.address), kit.Recorder()
    cluster.start(None, sink)
    refused = sink.wait(FrameworkNamesake)
    assert "fw-0" in refused.why
    assert master.subscribes == []
    cluster.stop()


def test_a_framework_that_is_known_subscribes_whoever_else_is_there(master: Any, kit: Any) -> None:
    master.frameworks = [{"id": "fw-1", "name": "weir", "tasks": [RUNNING]}]
    cluster, sink = kit.cluster(master.address), kit.Recorder()
    cluster.start("fw-1", sink)
    sink.wait(Subscribed)
    cluster.stop()
