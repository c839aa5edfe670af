"""Reading sandboxes through the agents, as a real agent answers, and as something else does."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from integration.mesos.sandbox import NoSandbox, SandboxFiles

TEXT = "0123456789" * 10
DIRECTORY = "/work/slaves/a/frameworks/f/executors/t/runs/r"


def answer(request: httpx.Request) -> httpx.Response:
    path, given = request.url.path, request.url.params
    if path == "/slaves":
        return httpx.Response(200, json={"slaves": [{"id": "a1", "pid": "slave(1)@10.0.0.5:5051"}]})
    if path == "/state":
        executors = [{"id": "other", "directory": "/x"}, {"id": "task-1", "directory": DIRECTORY}]
        return httpx.Response(200, json={"completed_frameworks": [{"completed_executors": executors}]})
    assert request.url.host == "10.0.0.5"
    if given["path"] != f"{DIRECTORY}/stdout":
        return httpx.Response(404)
    offset = int(given["offset"])
    if offset < 0:
        return httpx.Response(200, json={"data": "", "offset": len(TEXT)})
    return httpx.Response(200, json={"data": TEXT[offset : offset + int(given["length"])], "offset": offset})


def files(respond: Callable[[httpx.Request], httpx.Response] = answer) -> SandboxFiles:
    return SandboxFiles(httpx.MockTransport(respond))


def test_the_end_of_a_file_is_read_also_of_a_task_that_has_ended() -> None:
    end = files().end("m:5050", "a1", "task-1", "stdout", 15)

    assert (end.size, end.offset, end.text) == (100, 85, "567890123456789")
    assert files().end("m:5050", "a1", "task-1", "stdout", 10_000).text == TEXT


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
