"""What is logged never carries a secret, whatever shape it comes in."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from reconciler.app import logs
from reconciler.app.runner import ThreadRunner
from reconciler.model.events import Event, Tick

SECRET = "hunter2hunter2"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a replica's log would have, as JSON."""
    before = structlog.get_config()
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    logs.configure("json", "info")
    yield out
    structlog.configure(**before)


@pytest.mark.parametrize(
    "bound",
    [
        {"password": SECRET},
        {"apiToken": SECRET},
        {"mesos_secret": SECRET},
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
        {"config": [{"deep": {"db.password": SECRET}}]},
        {"url": f"https://user:{SECRET}@registry.example/x"},
        {"error": f"401 for Authorization: Bearer {SECRET}"},
        {"argv": ["--opt", f"sasl.jaas.config=password='{SECRET}';"]},
        {"text": f'{{"secretKey": "{SECRET}"}}'},
        {"data": f"token={SECRET}&x=1".encode()},
        {"error": ValueError(f"bad password: {SECRET}")},
        {"nested": {"a": {"b": {"c": {"d": {"e": {"f": {"g": SECRET}}}}}}}},
    ],
    ids=str,
)
def test_a_secret_is_masked_in_every_shape(lines: io.StringIO, bound: dict[str, object]) -> None:
    structlog.get_logger("t").info("call.failed", job="orders", **bound)

    assert SECRET not in lines.getvalue()
    assert json.loads(lines.getvalue())["job"] == "orders"


def test_a_traceback_is_masked_too(lines: io.StringIO) -> None:
    try:
        raise RuntimeError(f"cannot connect to zk://weir:{SECRET}@zk1/mesos")
    except RuntimeError:
        structlog.get_logger("t").exception("call.crashed")

    assert SECRET not in lines.getvalue()
    assert "RuntimeError" in lines.getvalue()


def test_what_is_no_secret_stays_as_it_is(lines: io.StringIO) -> None:
    said = {"job": "token-count", "why": "needs 4 cpus: agent-1 has 2", "url": "http://10.0.0.1:8081/jobs", "count": 3}
    structlog.get_logger("t").info("job.event", **said)

    found = json.loads(lines.getvalue())
    assert {key: found[key] for key in said} == said


def test_calls_on_other_threads_log_with_the_leaders_epoch(lines: io.StringIO) -> None:
    def call() -> Event:
        structlog.get_logger("t").info("store.called")
        return Tick()

    done: list[Event] = []
    with structlog.contextvars.bound_contextvars(epoch=7, replica="r1"):
        runner = ThreadRunner(done.append)
        runner.submit("store", call)
        runner._pools["store"].shutdown(wait=True)

    found = json.loads(lines.getvalue())
    assert (found["epoch"], found["replica"]) == (7, "r1")


def test_no_text_of_a_user_forges_a_line_or_drives_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before, out = structlog.get_config(), io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    try:
        logs.configure("console", "info")
        structlog.get_logger("t").info("spec.refused", job="a\n2026-01-01 [info] forged", error="\x1b[2J\u202egone\r")
    finally:
        structlog.configure(**before)

    assert out.getvalue().count("\n") == 1
    assert all(each.isprintable() for each in out.getvalue().rstrip("\n"))
    assert "\\x1b[2J" in out.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_color_takes_the_colours_from_a_terminal(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch, value: str | None, coloured: bool
) -> None:
    del lines  # puts the configuration back
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    logs.configure("console", "info")

    structlog.get_logger("t").info("task.launched", job="orders")

    assert "task.launched" in screen.getvalue()
    assert ("\x1b[" in screen.getvalue()) == coloured
