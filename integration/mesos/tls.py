"""TLS to the master: a socket that pymesos' connection can use, and what a failed handshake means, in one line.

Native TLS of Mesos (`LIBPROCESS_SSL_ENABLED`; Mesos docs, "SSL in Mesos") and a proxy that ends TLS before the
master look the same from here.
"""

from __future__ import annotations

import errno
import socket
import ssl
from selectors import EVENT_READ, EVENT_WRITE

_RECORD = 1 << 16
"""More than a TLS record holds (16 KiB): a record is taken as a whole, so none is left where no selector sees it."""
_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


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
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        if error.verify_code in _OTHER_NAME:
            return (
                f"the certificate of the master at {address} is for another name ({why}); "
                "name the master as its certificate does, or give the master a certificate with this name"
            )
        return f"the certificate of the master at {address} is not trusted ({why}); correct mesos.ca_file"
    reason = getattr(error, "reason", None) or str(error)
    if any(each in reason for each in _NO_TLS):
        return f"the master at {address} does not speak TLS there; take mesos.tls out, or name its port for TLS"
    if "CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason:
        said = reason.lower().replace("_", " ")
        return f"the master at {address} refuses our certificate ({said}); correct mesos.cert_file and mesos.key_file"
    return f"TLS with the master at {address} fails: {reason.lower().replace('_', ' ')}"


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
