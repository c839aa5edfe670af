"""`webhook`: every event as one HTTP POST of a JSON object.

    {"job": "orders", "event": {"time": "…", "code": "TASK_LOST", "message": "…", "warning": true, …}}

Answers 2xx are success. Time-outs, broken connections, 408, 429 and 5xx are tried again a few times;
any other answer is final, because repeating it would bring the same. The header `Idempotency-Key` is
the same for the same event, so that a receiver can tell a repetition from a second event.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import stamina

from plugins.notification.choice import Choice
from reconciler.model.notification import Settings
from reconciler.model.status import JobEvent

_SETTINGS = ("url", "timeout_s", "attempts", "token_file")
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotDelivered(Exception):
    """The receiver did not take the event; the message names its host, never the whole URL."""


class _TryAgain(NotDelivered):
    """It may take it a moment later."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events are sent. URLs of webhooks often hold a secret: they are never logged."""

    url: str
    timeout_s: float = 5.0
    attempts: int = 4
    token_file: str | None = None
    """A file with a bearer token; read for every event, so that it can be replaced."""

    @classmethod
    def of(cls, settings: Settings) -> WebhookSettings:
        """Raises ValueError with the setting that is wrong."""
        url = settings.get("url", "")
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError("url is not a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url has to be an http or https URL, such as https://alerts.example.com/weir")
        return cls(
            url,
            _number(settings, "timeout_s", 5.0, 0.1, 60.0),
            int(_number(settings, "attempts", 4, 1, 10)),
            settings.get("token_file"),
        )


class WebhookNotification:
    """One POST per event, in their order."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._choice = Choice.of(settings, others=_SETTINGS)
        self._settings = WebhookSettings.of(settings)
        self._host = urlsplit(self._settings.url).hostname
        self._client = httpx.Client(timeout=self._settings.timeout_s, follow_redirects=False, transport=transport)

    def send(self, job: str, event: JobEvent) -> None:
        """Raises NotDelivered after the last attempt."""
        if not self._choice.takes(job, event):
            return
        body = {"job": job, "event": event.model_dump(mode="json", by_alias=True)}
        headers = {"Idempotency-Key": _key(job, event), **self._authorization()}
        retries = stamina.retry_context(
            on=_TryAgain, attempts=self._settings.attempts, timeout=None, wait_initial=0.5, wait_max=10.0
        )
        for attempt in retries:
            with attempt:
                self._post(body, headers)

    def close(self) -> None:
        self._client.close()

    def _post(self, body: Mapping[str, object], headers: dict[str, str]) -> None:
        try:
            answer = self._client.post(self._settings.url, json=body, headers=headers)
        except httpx.TransportError as error:
            raise _TryAgain(f"{self._host}: {type(error).__name__}") from None
        if answer.status_code in _AGAIN:
            raise _TryAgain(f"{self._host} answered {answer.status_code}")
        if not answer.is_success:
            raise NotDelivered(f"{self._host} answered {answer.status_code}")

    def _authorization(self) -> dict[str, str]:
        path = self._settings.token_file
        if path is None:
            return {}
        try:
            return {"Authorization": f"Bearer {Path(path).read_text().strip()}"}
        except (OSError, UnicodeDecodeError) as error:
            raise NotDelivered(f"token_file {path} cannot be read: {type(error).__name__}") from None


def _key(job: str, event: JobEvent) -> str:
    parts = (job, event.time, event.code, event.message, str(event.generation), str(event.epoch))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _number(settings: Settings, name: str, default: float, least: float, most: float) -> float:
    text = str(settings.get(name, default))
    value = float(text) if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) else float("nan")
    if not least <= value <= most:
        raise ValueError(f'{name} is a number from {least:g} to {most:g}, not "{text}"')
    return value
