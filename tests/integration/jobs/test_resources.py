"""Disk, which the agents of the local stack offer. GPUs they cannot: Mesos wants an NVIDIA isolator for those."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.app.demo.story import poll

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

World = Any


def test_disk_is_taken_from_the_offer_and_more_than_any_agent_has_is_refused(made: World) -> None:
    job = made.jar_evens("with-disk")
    job.wanted["jobManager"]["disk"] = "1g"
    job.wanted["taskManager"]["disk"] = "2g"
    job.put()
    job.runs(1)

    listed = made.installation._ask_master("/master/tasks?limit=1000", "tasks")
    taken = {task["id"].split(".")[3]: task["resources"]["disk"] for task in listed if task["id"] in job.tasks()}
    assert taken == {"jm": 1024.0, "tm": 2048.0}

    job.put("taskManager", disk="100g")

    def refused() -> Any:
        status = job.view.status()
        return status.error if status is not None and not status.accepted else None

    said = poll("it is refused", refused, 120.0, tick=made.installation.check)
    assert "taskManager.disk: no agent could take a task of 102400 MiB of disk" in said
    job.put("taskManager", disk="2g", gpus=1)
    said = poll("it is refused for another reason", lambda: "GPUs" in (refused() or "") and refused(), 120.0, tick=None)
    assert "Mesos does not offer GPUs to this operator" in said

    job.put("taskManager", gpus=0)
    job.complete()
    assert job.runs(1)  # nothing of that has touched it
    job.delete()
