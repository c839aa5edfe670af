"""Notifications: never in the way of the loop, bounded, and honest about what was lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

import httpx
import pytest
import stamina
from structlog.testing import capture_logs

from plugins.notification.choice import Choice
from plugins.notification.log import LogNotification
from plugins.notification.webhook import NotDelivered, WebhookNotification
from plugins.notify import Notifier, build
from plugins.registry import PluginError
from reconciler.model.status import JobEvent

URL = "https://alerts.example.com/hook?secret=hush"


def event(code: str = "TASK_LOST", warning: bool = True, message: str = "it is gone") -> JobEvent:
    return JobEvent(time="2026-11-23T10:00:00Z", code=code, message=message, warning=warning, generation=3, epoch=7)


class Told:
    """Remembers what it was told; waits, or raises, when asked to."""

    def __init__(self, waits: Flag | None = None, raises: BaseException | None = None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.waits, self.raises = waits, raises

    def send(self, job: str, event: JobEvent) -> None:
        self.seen.append((job, event.message))
        if self.waits is not None:
            self.waits.wait(10)
        if self.raises is not None:
            raise self.raises


def test_every_plugin_is_told_in_order() -> None:
    one, other = Told(), Told()
    notifier = Notifier({"one": one, "other": other})

    for number in range(50):
        notifier.tell("orders", event(message=str(number)))
    notifier.close()

    assert one.seen == other.seen == [("orders", str(number)) for number in range(50)]


def test_a_plugin_that_hangs_holds_up_nobody_and_its_losses_are_counted() -> None:
    release = Flag()
    slow, quick = Told(release), Told()
    notifier = Notifier({"slow": slow, "quick": quick}, queued=10)

    with capture_logs() as logs:
        start = time.monotonic()
        for number in range(200):
            notifier.tell("orders", event(message=str(number)))
            if number % 5 == 0:
                time.sleep(0.001)
        spent = time.monotonic() - start
    release.set()
    notifier.close()

    assert spent < 2.0
    assert notifier.dropped()["slow"] >= 200 - 10 - 1
    assert len(quick.seen) + notifier.dropped()["quick"] == 200
    assert [each["event"] for each in logs].count("notification.dropped") <= 2


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), RecursionError()])
def test_a_plugin_that_raises_is_told_the_next_event_too(error: BaseException) -> None:
    bad = Told(raises=error)
    notifier = Notifier({"bad": bad})

    with capture_logs() as logs:
        for _ in range(5):
            notifier.tell("orders", event())
        notifier.close()

    assert len(bad.seen) == 5
    assert notifier.failed() == {"bad": 5}
    assert [each["event"] for each in logs] == ["notification.failed"]


def test_closing_does_not_wait_for_a_plugin_that_hangs() -> None:
    notifier = Notifier({"slow": Told(Flag())})
    notifier.tell("orders", event())

    start = time.monotonic()
    notifier.close(timeout_s=0.1)

    assert time.monotonic() - start < 1.0
    notifier.tell("orders", event())  # after the end: nothing happens


def test_a_notifier_without_plugins_costs_nothing() -> None:
    notifier = build({})
    notifier.tell("orders", event())
    notifier.close()


@pytest.mark.parametrize(
    ("configured", "words"),
    [
        ({"pager": {}}, "there is no plugin pager"),
        ({"webhook": {}}, "notifications.webhook: url has to be"),
        ({"webhook": {"url": "ftp://a/b"}}, "an http or https URL"),
        ({"webhook": {"url": "https://[bad"}}, "url is not a URL"),
        ({"webhook": {"url": URL, "attempts": "99"}}, "attempts is a number from 1 to 10"),
        ({"webhook": {"url": URL, "timeout_s": "soon"}}, "timeout_s is a number from 0.1 to 60"),
        ({"webhook": {"url": URL, "colour": "red"}}, "there is no setting colour"),
        ({"log": {"only": "bad"}}, 'only is "all" or "warnings"'),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_at_the_start(configured: Any, words: str) -> None:
    with pytest.raises(PluginError) as refused:
        build(configured)

    assert words in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({}, True),
        ({"only": "warnings"}, True),
        ({"jobs": "billing, ord*"}, True),
        ({"jobs": "billing"}, False),
        ({"codes": "TASK_*"}, True),
        ({"codes": "JOB_*,RUNNING"}, False),
        ({"codes": ""}, False),
    ],
)
def test_settings_choose_events(settings: dict[str, str], taken: bool) -> None:
    assert Choice.of(settings, ()).takes("orders", event()) is taken


def test_warnings_only_leaves_out_the_rest() -> None:
    assert not Choice.of({"only": "warnings"}, ()).takes("orders", event(warning=False))


def test_log_writes_one_line_per_event() -> None:
    with capture_logs() as logs:
        LogNotification({}).send("orders", event())
        LogNotification({}).send("orders", event(code="RUNNING", warning=False))

    assert [(each["log_level"], each["code"], each["job"]) for each in logs] == [
        ("warning", "TASK_LOST", "orders"),
        ("info", "RUNNING", "orders"),
    ]


class Receiver:
    """A server that answers as told, the last answer again and again."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer)


@pytest.fixture
def no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=4, cap=True)
    yield
    stamina.set_testing(False)


def webhook(receiver: Receiver, **settings: str) -> WebhookNotification:
    return WebhookNotification({"url": URL, **settings}, transport=httpx.MockTransport(receiver))


def test_the_webhook_posts_the_event_as_json(no_waiting: None) -> None:
    receiver = Receiver(204)

    webhook(receiver).send("orders", event())

    (request,) = receiver.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    body = json.loads(request.content)
    assert body["job"] == "orders"
    assert body["event"] == event().model_dump(mode="json", by_alias=True)
    assert len(request.headers["Idempotency-Key"]) == 32


@pytest.mark.parametrize("trouble", [500, 503, 429, httpx.ConnectError("no"), httpx.ReadTimeout("slow")])
def test_the_webhook_tries_again_with_the_same_key(no_waiting: None, trouble: int | Exception) -> None:
    receiver = Receiver(trouble, trouble, 200)

    webhook(receiver).send("orders", event())

    assert len(receiver.requests) == 3
    assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1


@pytest.mark.parametrize(("answer", "tries"), [(503, 3), (400, 1), (404, 1), (301, 1)])
def test_the_webhook_gives_up_without_telling_its_url(no_waiting: None, answer: int, tries: int) -> None:
    receiver = Receiver(answer)

    with pytest.raises(NotDelivered) as given_up:
        webhook(receiver, attempts="3").send("orders", event())

    assert len(receiver.requests) == tries
    assert "alerts.example.com" in str(given_up.value)
    assert "hush" not in str(given_up.value)


def test_the_webhook_reads_its_token_for_every_event(no_waiting: None, tmp_path: Path) -> None:
    receiver, token = Receiver(200), tmp_path / "token"
    hook = webhook(receiver, token_file=str(token))
    with pytest.raises(NotDelivered, match="cannot be read"):
        hook.send("orders", event())

    for value in ("one", "two"):
        token.write_text(value + "\n")
        hook.send("orders", event())

    assert [request.headers["Authorization"] for request in receiver.requests] == ["Bearer one", "Bearer two"]


def test_the_webhook_sends_only_what_is_chosen(no_waiting: None) -> None:
    receiver = Receiver(200)

    webhook(receiver, only="warnings").send("orders", event(warning=False))

    assert receiver.requests == []
