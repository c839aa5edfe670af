"""Reading sandboxes through the agents, as a real agent answers, and as something else does."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from integration.mesos.sandbox import NoSandbox, SandboxFiles

TEXT = "0123456789" * 10
LONG = b"\xc3\xa9" * 50_001 + b"\xff end"
"""Longer than an agent's page, with pages that end within a character, and a byte that is no UTF-8."""
AGENT_PAGE = 64 << 10
DIRECTORY = "/work/slaves/a/frameworks/f/executors/t/runs/r"


def answer(request: httpx.Request) -> httpx.Response:
    path, given = request.url.path, request.url.params
    if path == "/slaves":
        return httpx.Response(200, json={"slaves": [{"id": "a1", "pid": "slave(1)@10.0.0.5:5051"}]})
    if path == "/frameworks":
        assert given["framework_id"] == "f"
        tasks = {kind: [{"id": f"{kind}-1", "slave_id": "a1"}] for kind in ("tasks", "completed_tasks")}
        return httpx.Response(200, json={"frameworks": [{"id": "f", **tasks}, {"id": "g", "tasks": [{"id": "no"}]}]})
    if path == "/state":
        executors = [{"id": "other", "directory": "/x"}, {"id": "task-1", "directory": DIRECTORY}]
        return httpx.Response(200, json={"completed_frameworks": [{"completed_executors": executors}]})
    assert request.url.host == "10.0.0.5"
    content = {f"{DIRECTORY}/stdout": TEXT.encode(), f"{DIRECTORY}/long": LONG}.get(given["path"])
    if content is None:
        return httpx.Response(404)
    offset = int(given["offset"])
    page = content[offset : offset + min(int(given["length"]), AGENT_PAGE)] if offset >= 0 else b""
    at = offset if offset >= 0 else len(content)
    return httpx.Response(200, content=b'{"data": "%s", "offset": %d}' % (page, at))


def files(respond: Callable[[httpx.Request], httpx.Response] = answer) -> SandboxFiles:
    return SandboxFiles(httpx.MockTransport(respond))


def test_the_end_of_a_file_is_read_also_of_a_task_that_has_ended() -> None:
    end = files().end("m:5050", "a1", "task-1", "stdout", 15)

    assert (end.size, end.offset, end.text) == (100, 85, "567890123456789")
    assert files().end("m:5050", "a1", "task-1", "stdout", 10_000).text == TEXT


def test_a_file_longer_than_an_agents_page_is_read_to_its_end_byte_for_byte() -> None:
    sandbox = files().find("m:5050", "a1", "task-1")

    assert b"".join(files().pages(sandbox, "long", 0, len(LONG))) == LONG
    assert files().size(sandbox, "long") == len(LONG)
    end = files().end("m:5050", "a1", "task-1", "long", 100_000)
    assert (end.size, end.offset) == (len(LONG), len(LONG) - 100_000)
    assert end.text == LONG[-100_000:].decode("utf-8", "replace")


def test_the_master_remembers_where_tasks_were_also_those_that_have_ended() -> None:
    assert files().tasks("m:5050", "f") == {"tasks-1": "a1", "completed_tasks-1": "a1"}


def test_agents_are_asked_when_the_master_has_forgotten() -> None:
    assert files().search("m:5050", "task-") == {"task-1": "a1"}

    def one_is_silent(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/slaves":
            pids = {"a1": "slave(1)@10.0.0.5:5051", "a2": "slave(1)@10.0.0.6:5051"}
            return httpx.Response(200, json={"slaves": [{"id": name, "pid": pid} for name, pid in pids.items()]})
        if request.url.host == "10.0.0.6":
            raise httpx.ConnectTimeout("timed out")
        return answer(request)

    assert files(one_is_silent).search("m:5050", "task-") == {"task-1": "a1"}


@pytest.mark.parametrize(
    ("agent", "task", "name", "says"),
    [
        ("a2", "task-1", "stdout", "does not list the agent a2"),
        ("a1", "task-2", "stdout", "no sandbox of task-2"),
        ("a1", "task-1", "stderr", "stderr of task-1 cannot be read"),
    ],
)
def test_what_is_not_there_is_told(agent: str, task: str, name: str, says: str) -> None:
    with pytest.raises(NoSandbox, match=says):
        files().end("m:5050", agent, task, name, 10)


@pytest.mark.parametrize("body", ["nonsense", "[]", "{}", '{"slaves": [{}]}', '{"slaves": [{"id": "a1", "pid": 3}]}'])
def test_an_answer_that_is_not_of_mesos_is_told(body: str) -> None:
    with pytest.raises(NoSandbox):
        files(lambda _: httpx.Response(200, text=body)).end("m:5050", "a1", "task-1", "stdout", 10)


def test_silence_is_told() -> None:
    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("timed out")

    with pytest.raises(NoSandbox, match="timed out"):
        files(silent).end("m:5050", "a1", "task-1", "stdout", 10)
