"""A small client of Flink's REST API: every call has time-outs, a bounded answer and our own errors.

    FlinkError
    ├── FlinkUnreachable     no usable answer; nothing may be concluded
    │   └── NotServing       the process answers 503: it is starting, or it has no leader yet
    └── FlinkRefused         Flink answered with an error of ours to handle
        └── NotFound         404: no such job, trigger or path

5xx answers are FlinkUnreachable: during a failover Flink answers 500 for jobs that are well (Flink
docs, "REST API", names none of this; the bodies are in the tests' fixtures).
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Self

import httpx

from integration import tls_errors
from reconciler.ports import FlinkRefused, FlinkUnreachable

MAX_BODY = 16 << 20
"""Bytes. A job with thousands of vertices answers with a few megabytes."""
MAX_MESSAGE = 500


class NotServing(FlinkUnreachable):
    """HTTP 503: a JobManager is there, but has no leader or has not started its job yet."""


class NotFound(FlinkRefused):
    """HTTP 404."""


class RestClient:
    """JSON requests and uploads, for all JobManagers together; safe to use from several threads.

    `tls` is for those whose URL is https; None: the certificates of the system decide.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 2.0,
        timeout_s: float = 10.0,
        connections: int = 32,
        tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=connect_timeout_s),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # A proxy of the environment has nothing to do with JobManagers.
            trust_env=False,
            verify=tls or ssl.create_default_context(),
            transport=transport,
        )

    def get(self, url: str, path: str) -> Any:
        return self._call("GET", url, path, None)

    def post(self, url: str, path: str, body: Mapping[str, Any], timeout_s: float | None = None) -> Any:
        return self._call("POST", url, path, {"json": body}, timeout_s)

    def put(self, url: str, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("PUT", url, path, {"json": body})

    def upload(self, url: str, path: str, name: str, file: IO[bytes], timeout_s: float) -> Any:
        """POST a file as Flink's upload handlers take it (multipart/form-data, one file)."""
        content = {"files": {"jarfile": (name, file, "application/x-java-archive")}}
        return self._call("POST", url, path, content, timeout_s)

    def delete(self, url: str, path: str) -> Any:
        return self._call("DELETE", url, path, None)

    def patch(self, url: str, path: str) -> Any:
        return self._call("PATCH", url, path, None)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(
        self, method: str, url: str, path: str, content: Mapping[str, Any] | None, timeout_s: float | None = None
    ) -> Any:
        where = f"{method} {url.rstrip('/')}{path}"
        try:
            status, data = self._exchange(method, url.rstrip("/") + path, content or {}, timeout_s or self._timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            refused = tls_errors.refusal(f"the JobManager at {url}", "flink.rest", error)
            raise FlinkUnreachable(refused or f"{where}: {str(error) or type(error).__name__}") from error
        if 200 <= status < 300:
            try:
                return json.loads(data) if data else {}
            except ValueError as error:
                raise FlinkUnreachable(f"{where}: the answer is not JSON, so it is not Flink's") from error
        message = f"{where}: HTTP {status}: {_message(data)}"
        if status == 503:
            raise NotServing(message)
        if status >= 500 or status < 400:
            raise FlinkUnreachable(message)
        raise (NotFound if status == 404 else FlinkRefused)(message)

    def _exchange(self, method: str, url: str, content: Mapping[str, Any], timeout_s: float) -> tuple[int, bytes]:
        """httpx bounds every read, not the whole answer: a deadline and a size limit do."""
        deadline = time.monotonic() + 2 * timeout_s
        timeout = httpx.Timeout(timeout_s, connect=self._connect_timeout_s)
        data = bytearray()
        with self._client.stream(method, url, timeout=timeout, **content) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_BODY:
                    raise ValueError(f"the answer is longer than {MAX_BODY >> 20} MiB")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer took too long")
            return response.status_code, bytes(data)


def _message(data: bytes) -> str:
    """Flink's `errors` without their stack traces, in one line."""
    try:
        errors = [str(error).removeprefix("<Exception on server side:").strip() for error in json.loads(data)["errors"]]
        text = " ".join(root_cause(error) for error in errors if error)
    except (ValueError, KeyError, TypeError):
        text = data[:MAX_MESSAGE].decode("utf-8", "replace")
    return text[:MAX_MESSAGE]


def root_cause(stack_trace: str) -> str:
    """The outermost exception and its deepest cause, in one line of bounded length."""
    lines = stack_trace.strip().splitlines()
    if not lines:
        return ""
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    first = lines[0].strip()
    text = first if not causes or causes[-1] in first else f"{first}; caused by {causes[-1].strip()}"
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
