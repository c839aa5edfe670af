"""TLS to the master: a socket that pymesos' connection can use, and what a failed handshake means, in one line.

Native TLS of Mesos (`LIBPROCESS_SSL_ENABLED`; Mesos docs, "SSL in Mesos") and a proxy that ends TLS before the
master look the same from here.
"""

from __future__ import annotations

import errno
import socket
import ssl
from selectors import EVENT_READ, EVENT_WRITE

from integration import tls_errors

_RECORD = 1 << 16
"""More than a TLS record holds (16 KiB): a record is taken as a whole, so none is left where no selector sees it."""


def scheme(tls: ssl.SSLContext | None) -> str:
    """Of the URLs of a master."""
    return "http" if tls is None else "https"


def verified_by(tls: ssl.SSLContext | None) -> ssl.SSLContext | bool:
    """The argument `verify` of an httpx client; without TLS a redirect to https is checked by the system's."""
    return True if tls is None else tls


def wrap(sock: socket.socket, tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """A connected socket, before its handshake. `host` is what the certificate has to be for."""
    return tls.wrap_socket(sock, server_hostname=host.strip("[]"), do_handshake_on_connect=False)


def refusal(address: str, error: BaseException | None) -> str | None:
    """A sentence when TLS is what an error or one of its causes is about, and only a person can change that."""
    return tls_errors.refusal(f"the master at {address}", "mesos", error)


class TlsSocket:
    """What pymesos' `Connection` uses of a non-blocking socket."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext, host: str) -> None:
        self._sock = wrap(sock, tls, host)
        self.failed: ssl.SSLError | None = None
        """Why nothing can be read any more, as far as TLS knows."""
        self.awaits = EVENT_WRITE

    def handshake(self) -> bool:
        """A step of it; `awaits` says what the next one needs. True when it is complete. Raises OSError."""
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self.awaits = EVENT_READ
            return False
        except ssl.SSLWantWriteError:
            self.awaits = EVENT_WRITE
            return False
        return True

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError(errno.EAGAIN, str(error)) from None

    def recv(self, size: int) -> bytes:
        """All records that are there, and few more bytes than `size` at most."""
        found = bytearray()
        while len(found) < size:
            try:
                data = self._sock.recv(_RECORD)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if found:
                    break
                raise BlockingIOError(errno.EAGAIN, str(error)) from None
            except ssl.SSLError as error:
                self.failed = error
                if found:
                    break
                raise
            if not data:
                break
            found += data
        return bytes(found)

    def close(self) -> None:
        self._sock.close()
