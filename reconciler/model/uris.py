"""Whether a URI lies below one of the places that the operator allows. Pure.

Only what every reader of a URI understands in the same way passes: the agents' fetcher, Flink and
Weir decode and resolve on their own, and a difference between them would be the way around the list.
So a path with `..`, an empty segment, a backslash or a percent sign that survives decoding is refused,
not resolved. Scheme, host and port have to be those of the prefix, letter by letter (`s3` is not `s3a`).
Symbolic links on agents are not seen from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote, urlsplit

Place = tuple[str, str, tuple[str, ...]]
"""Scheme, host with port, and the segments of the path."""


class UriRefused(ValueError):
    """Why a URI is below none of the allowed places."""


def place_of(uri: str) -> Place:
    """Raises UriRefused for what could be read in more than one way. An absolute path is a `file:` URI."""
    if re.search(r"[\x00-\x20\x7f\\]", uri):
        raise UriRefused("it holds a space, a backslash or a control character")
    if not uri.isascii():
        raise UriRefused("it holds a letter that is not ASCII; write it as %XX of its UTF-8")
    try:
        parts = urlsplit(f"file://{uri}" if uri.startswith("/") else uri)
    except ValueError as error:
        raise UriRefused(f"it is not a URI: {error}") from None
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    if not scheme:
        raise UriRefused("it is relative")
    if parts.fragment or "#" in uri or (("?" in uri) and scheme not in ("http", "https")):
        raise UriRefused("it holds a ? or a #")
    if "@" in host:
        raise UriRefused("it holds a user or a password")
    if scheme == "file" and host == "localhost":
        host = ""
    path = unquote(parts.path, errors="strict") if _decodes(parts.path) else None
    if path is None or re.search(r"%[0-9A-Fa-f]{2}|[\x00-\x1f\x7f\\?#]", path):
        raise UriRefused("its path is encoded twice, or hides a character that has a meaning of its own")
    if not path.startswith("/"):
        raise UriRefused("its path is relative")
    segments = path[1:].rstrip("/").split("/") if path.strip("/") else []
    if any(segment in ("", ".", "..") for segment in segments) or path.startswith("//"):
        raise UriRefused("its path holds .., . or an empty part")
    return scheme, host, tuple(segments)


def check_allowed(uri: str, prefixes: Iterable[str]) -> None:
    """Raises UriRefused unless `uri` is one of `prefixes` or below one, at the border of a segment."""
    scheme, host, segments = place_of(uri)
    for prefix in prefixes:
        allowed = place_of(prefix)
        if (scheme, host) == allowed[:2] and segments[: len(allowed[2])] == allowed[2]:
            return
    raise UriRefused("it is below none of the allowed places")


def refusal(uri: str, prefixes: Sequence[str] | None) -> str | None:
    """Why `uri` is refused, with the places that are allowed; None when it is not. No list allows everything."""
    if prefixes is None:
        return None
    try:
        check_allowed(uri, prefixes)
    except UriRefused as refused:
        return f"{refused}; allowed are: {', '.join(prefixes) or 'none'}"
    return None


def _decodes(path: str) -> bool:
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    return re.search(r"%(?![0-9A-Fa-f]{2})", path) is None
