"""What is refused at the door because somebody looked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from integration.mesos.agents import Agents, LargestAgent
from reconciler.app.admission import Admission, job_files, resources, sql_script
from reconciler.model.events import RawSpec
from reconciler.model.record import SpecRef
from reconciler.model.spec_parse import SpecLimits
from tests.unit.decide.scenario import spec

SMALL = LargestAgent(4.0, "agent-1", 2048.0, "agent-2")


def test_a_task_that_no_agent_could_take_is_refused_with_the_numbers() -> None:
    errors = resources(lambda: SMALL)(spec(taskManager={"cpus": 64.0, "memory": "4g"}))

    assert [error.path for error in errors] == ["taskManager.cpus", "taskManager.memory"]
    assert "64 cpus: the largest agent has 4 (agent-1)" in errors[0].message
    assert "2048 MiB (agent-2)" in errors[1].message


def test_disk_and_gpus_that_no_agent_has_are_refused_with_the_numbers() -> None:
    with_disk = LargestAgent(4.0, "agent-1", 2048.0, "agent-2", 10_000.0, "agent-3", 2.0, "agent-4")
    wanted = spec(jobManager={"disk": "20g"}, taskManager={"disk": "9g", "gpus": 3})

    disk, gpus = resources(lambda: with_disk)(wanted)
    assert (disk.path, gpus.path) == ("jobManager.disk", "taskManager.gpus")
    assert "20480 MiB of disk: the largest agent has 10000 MiB (agent-3)" in disk.message
    assert "3 gpus: the largest agent has 2 (agent-4)" in gpus.message
    _, none, _ = resources(lambda: SMALL)(wanted)
    assert "no agent offers disk" in none.message


def test_a_master_that_does_not_answer_is_no_limit() -> None:
    assert resources(lambda: None)(spec(taskManager={"cpus": 64.0})) == ()


def agents(handler: object) -> Agents:
    return Agents(lambda: "127.0.0.1:5050", transport=httpx.MockTransport(handler))  # type: ignore[arg-type]


def test_the_largest_agent_is_read_from_the_master() -> None:
    body = {
        "slaves": [
            {"hostname": "agent-1", "active": True, "resources": {"cpus": 4.0, "mem": 1024.0}},
            {"hostname": "agent-2", "active": True, "resources": {"cpus": 2.0, "mem": 2048.0}},
            {"hostname": "agent-3", "active": False, "resources": {"cpus": 99.0, "mem": 99999.0}},
        ]
    }
    assert agents(lambda _: httpx.Response(200, json=body)).largest() == SMALL
    body["slaves"][1]["resources"] |= {"disk": 500.0, "gpus": 1}
    found = agents(lambda _: httpx.Response(200, json=body)).largest()
    assert found == replace(SMALL, disk_mb=500.0, disk_on="agent-2", gpus=1.0, gpus_on="agent-2")


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(200, text="<html>"), httpx.Response(200, json={})]
)
def test_an_answer_that_is_none_gives_no_limit(answer: httpx.Response) -> None:
    assert agents(lambda _: answer).largest() is None


def test_a_job_file_that_is_not_there_is_refused_and_the_path_is_named() -> None:
    (error,) = job_files(spec(job={"uri": "file:///no/such/job.py"}))

    assert error.path == "job.uri"
    assert "/no/such/job.py" in error.message


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("INSERT INTO a SELECT 1;", None),
        ("INSERT INTO a SELECT 1; INSERT INTO b SELECT 1;", "would start 2 jobs"),
        ("CREATE TABLE a (n INT)", "no INSERT"),
        (b"\xff\xfe", "decode"),
        (None, None),
    ],
)
def test_a_script_that_cannot_be_one_job_is_refused(
    tmp_path: Path, script: str | bytes | None, said: str | None
) -> None:
    path = tmp_path / "job.sql"
    if script is not None:
        path.write_bytes(script if isinstance(script, bytes) else script.encode())

    errors = sql_script(spec(job={"type": "sql", "uri": path.as_uri()}))

    assert [error.path for error in errors] == (["job.uri"] if said else [])
    assert said is None or said in errors[0].message


def test_everything_that_is_wrong_is_one_sentence_for_the_status() -> None:
    admission = Admission(SpecLimits(), [job_files, resources(lambda: SMALL)])
    data = (
        b'{"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///no/such.py"}, "taskManager": {"cpus": 64}}'
    )
    parsed = admission.parse(RawSpec("orders", SpecRef(1, 0), data))

    assert parsed.spec is None
    assert parsed.error is not None
    assert "job.uri" in parsed.error
    assert "taskManager.cpus" in parsed.error


def test_what_nobody_knows_yet_does_not_slip_in() -> None:
    none = agents(lambda _: httpx.Response(200, json={"slaves": []}))

    (error,) = resources(none.largest)(spec())
    assert "no agent has registered" in error.message
    (error,) = resources(Agents(lambda: None).largest)(spec())
    assert "no leading Mesos master" in error.message


def test_a_master_that_stops_answering_leaves_the_limit_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([httpx.Response(200, json={"slaves": [
        {"hostname": "agent-1", "active": True, "resources": {"cpus": 4.0, "mem": 1024.0}},
    ]})])  # fmt: skip

    def handler(request: httpx.Request) -> httpx.Response:
        try:
            return next(answers)
        except StopIteration:
            raise httpx.ReadTimeout("slow", request=request) from None

    monkeypatch.setattr("integration.mesos.agents.FRESH_S", 0.0)
    known = agents(handler)
    first = known.largest()
    assert first is not None
    assert known.largest() == first
