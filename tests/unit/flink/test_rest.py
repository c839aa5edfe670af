"""The REST client turns everything that can go wrong into the port's own errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from integration.flink.rest import MAX_BODY, NotFound, NotServing, RestClient, root_cause
from reconciler.ports import FlinkRefused, FlinkUnreachable


def client(handler: Callable[[httpx.Request], httpx.Response]) -> RestClient:
    return RestClient(transport=httpx.MockTransport(handler))


def get(response: httpx.Response) -> object:
    return client(lambda request: response).get("http://jm:8081/", "/jobs")


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), OSError("reset")],
)
def test_f46_no_answer_is_unreachable(error: Exception) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(FlinkUnreachable, match="GET http://jm:8081/jobs"):
        client(fail).get("http://jm:8081", "/jobs")


@pytest.mark.parametrize("url", ["", "jm:8081", "http://[", "http://jm:port"])
def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    with RestClient() as rest, pytest.raises(FlinkUnreachable):
        rest.get(url, "/jobs")


def test_503_is_not_serving_yet() -> None:
    with pytest.raises(NotServing, match="leader election"):
        get(
            httpx.Response(503, json={"errors": ["Service temporarily unavailable due to an ongoing leader election."]})
        )


@pytest.mark.parametrize("status", [302, 500, 502, 504])
def test_other_server_errors_say_nothing_about_the_job(status: int) -> None:
    with pytest.raises(FlinkUnreachable):
        get(httpx.Response(status, text="proxy"))


def test_404_and_409_are_flinks_own_answers_without_their_stack_trace() -> None:
    body = {"errors": ["org.apache.flink.NotFoundException: Job x not found\n\tat org.apache.flink.Foo(Foo.java:1)"]}
    with pytest.raises(NotFound, match=r"Job x not found$"):
        get(httpx.Response(404, json=body))
    with pytest.raises(FlinkRefused, match="409"):
        get(httpx.Response(409, json=body))


def test_an_answer_that_is_not_json_is_not_flinks() -> None:
    with pytest.raises(FlinkUnreachable, match="not JSON"):
        get(httpx.Response(200, text="<html>"))


def test_an_endless_answer_is_cut_off() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * (1 << 20)

    with pytest.raises(FlinkUnreachable, match=f"longer than {MAX_BODY >> 20} MiB"):
        get(httpx.Response(200, content=endless()))


def test_a_root_cause_names_the_outermost_exception_and_the_deepest_cause() -> None:
    trace = "a.Outer: what\n\tat x\nCaused by: b.Middle: how\n\tat y\nCaused by: c.Inner: why\n\tat z"

    assert root_cause(trace) == "a.Outer: what; caused by c.Inner: why"
    assert len(root_cause("x" * 9999)) == 500
    assert root_cause("") == ""
