"""Who may do what through the API: tokens with a role, from a file that only the operator reads.

    # role   token                             [name prefix of the jobs it may act on]
    read     p8Q2…
    operate  Zk3v…
    operate  T7mw…                             team-a-

There is no default token. Without a file nobody may act, and reading is open unless
`anonymous_read` is false. Tokens are compared by their hashes, all of them and in constant time, so
that the time of an answer tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from reconciler.app.api.context import Refused
from reconciler.app.config import ConfigError

if TYPE_CHECKING:
    from starlette.requests import Request

log = structlog.get_logger("weir.api")

Role = Literal["read", "operate"]
COOKIE = "weir_token"
HEADER = "X-Weir-Request"
"""Sent by the pages: no other site can send it without being asked for permission first (CORS)."""
SHORTEST = 16
MOST = 1000
WHERE = "name a tokens file in the operator's configuration: api.tokens_file"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token stands for."""

    role: Role
    prefix: str
    fingerprint: str
    """Beginning of the token's hash, for the log."""

    def may_operate(self, job: str) -> bool:
        return self.role == "operate" and job.startswith(self.prefix)


class Tokens:
    """The tokens of the file, read again when it changes. Raises ConfigError at the start only."""

    def __init__(self, path: str | None, *, anonymous_read: bool = True) -> None:
        self.anonymous_read = anonymous_read
        self._path = Path(path) if path is not None else None
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._callers: dict[bytes, Caller] = {}
        if self._path is None and not anonymous_read:
            raise ConfigError("configuration: api.anonymous_read is false, but there is no api.tokens_file")
        if self._path is not None:
            self._callers, self._stamp = load(self._path)

    @property
    def configured(self) -> bool:
        return self._path is not None

    def caller(self, request: Request) -> Caller | None:
        """Who asks: by the Authorization header, else by the cookie of the pages; None: nobody that is known."""
        given = bearer(request) or request.cookies.get(COOKIE)
        return self.known(given) if given else None

    def known(self, token: str) -> Caller | None:
        self._refresh()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found: Caller | None = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def may_read(self, request: Request) -> None:
        """Raises Refused."""
        if not self.anonymous_read and self.caller(request) is None:
            raise Refused(401, "reading needs a token here", "send it: Authorization: Bearer TOKEN")

    def may_operate(self, request: Request, job: str) -> Caller:
        """Raises Refused."""
        if not self.configured:
            raise Refused(403, "nobody may act through this API: there are no tokens", WHERE)
        caller = self.caller(request)
        if caller is None:
            raise Refused(401, "acting needs a token", "send it: Authorization: Bearer TOKEN")
        if bearer(request) is None and HEADER not in request.headers:
            raise Refused(403, f"a request with the cookie of the pages needs the header {HEADER}", None)
        if caller.role != "operate":
            raise Refused(403, "this token may read only", "use one with the role operate")
        if not caller.may_operate(job):
            raise Refused(403, f"this token may act on jobs only whose names begin with {caller.prefix}", None)
        return caller

    def _refresh(self) -> None:
        if self._path is None:
            return
        with self._lock:
            try:
                if stamp_of(self._path) != self._stamp:
                    self._callers, self._stamp = load(self._path)
                    log.info("api.tokens_read", count=len(self._callers))
            except (ConfigError, OSError) as error:
                log.error("api.tokens_unreadable", error=str(error))
                self._stamp, self._callers = None, {}  # what cannot be read admits nobody


def bearer(request: Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def stamp_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def load(path: Path) -> tuple[dict[bytes, Caller], tuple[int, int]]:
    """Read a tokens file. Raises ConfigError with the line; never with a token."""
    try:
        stamp, mode, text = stamp_of(path), path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration: api.tokens_file {path} cannot be read: {_why(error)}") from None
    if mode & 0o007:
        raise ConfigError(f"configuration: api.tokens_file {path} is open to every user; run: chmod o-rwx {path}")
    found: dict[bytes, Caller] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        digest, caller = _entry(words, lambda why, number=number: ConfigError(f"{path}, line {number}: {why}"))  # type: ignore[misc]
        if digest in found or len(found) >= MOST:
            raise ConfigError(f"{path}, line {number}: this token stands there twice, or there are more than {MOST}")
        found[digest] = caller
    return found, stamp


def _entry(words: list[str], wrong: Callable[[str], ConfigError]) -> tuple[bytes, Caller]:
    if len(words) not in (2, 3):
        raise wrong("write: ROLE TOKEN [PREFIX]")
    role, token, prefix = words[0], words[1], words[2] if len(words) == 3 else ""
    if role not in ("read", "operate"):
        raise wrong("the role is read or operate")
    if prefix and role == "read":
        raise wrong("a prefix belongs to operate; whoever may read, reads all jobs")
    if len(token) < SHORTEST:
        raise wrong(f"the token has fewer than {SHORTEST} characters; make one: openssl rand -hex 32")
    digest = hashlib.sha256(token.encode()).digest()
    return digest, Caller("read" if role == "read" else "operate", prefix, digest.hex()[:8])


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is not UTF-8"
