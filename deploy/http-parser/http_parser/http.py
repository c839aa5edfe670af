"""The response parser that pymesos uses, over httptools (the parser of uvicorn).

pymesos looks for an attribute `errno` to recognise the pure-Python parser of http-parser and then
imports a module that does not exist here, so no attribute of that name may be defined.
"""

from __future__ import annotations

import httptools

_PARSE_ERROR = 1


class HttpParser:
    """One HTTP response, fed in pieces; names and meanings are those of http-parser."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._headers_complete = False
        self._message_complete = False
        self._body: list[bytes] = []
        self._error = 0

    # httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headers_complete = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._message_complete = True

    # http-parser's interface

    def execute(self, data: bytes | bytearray | memoryview, length: int) -> int:
        """Feed `length` bytes; the number of bytes consumed (fewer than `length` is an error)."""
        try:
            self._parser.feed_data(bytes(data[:length]))
        except httptools.HttpParserError:
            self._error = _PARSE_ERROR
            return 0
        return length

    def get_errno(self) -> int:
        """0 when all went well."""
        return self._error

    def is_headers_complete(self) -> bool:
        return self._headers_complete

    def is_message_complete(self) -> bool:
        return self._message_complete

    def get_status_code(self) -> int:
        return int(self._parser.get_status_code())

    def get_headers(self) -> dict[str, str]:
        return self._headers

    def is_chunked(self) -> bool:
        encoding = {name.lower(): value for name, value in self._headers.items()}.get("transfer-encoding", "")
        return "chunked" in encoding.lower()

    def is_partial_body(self) -> bool:
        """True when body bytes wait to be taken by `recv_body`."""
        return bool(self._body)

    def recv_body(self) -> bytes:
        """Take the body bytes that arrived since the last call."""
        body, self._body = b"".join(self._body), []
        return body
