"""A proxy that ends TLS before a server, and certificates for it and for its clients."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from kazoo.client import KazooClient


class Authority:
    """Makes certificates; its own is in `ca_file`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.ca_file = str(directory / f"{name}.pem")
        Path(self.ca_file).write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, *addresses: str) -> tuple[str, str]:
        """Paths of a certificate for these addresses (IP addresses or names) and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
        if addresses:
            made = made.add_extension(x509.SubjectAlternativeName([_address(each) for each in addresses]), False)
        certificate, private = self._directory / f"{name}-cert.pem", self._directory / f"{name}-key.pem"
        certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(certificate), str(private)

    def keystore(self, name: str, password: str, *addresses: str) -> str:
        """Path of a keystore as Java reads it (PKCS #12) with a certificate for these addresses and its key."""
        certificate, key = (Path(each).read_bytes() for each in self.issue(name, *addresses))
        private = serialization.load_pem_private_key(key, None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        path = self._directory / f"{name}.p12"
        encryption = serialization.BestAvailableEncryption(password.encode())
        path.write_bytes(
            pkcs12.serialize_key_and_certificates(
                name.encode(), private, x509.load_pem_x509_certificate(certificate), None, encryption
            )
        )
        return str(path)

    def truststore(self, password: str) -> str:
        """Path of a truststore as Java reads it, with the authority alone."""
        path = self._directory / "trusted.p12"
        trusted = pkcs12.PKCS12Certificate(
            x509.load_pem_x509_certificate(Path(self.ca_file).read_bytes()), b"authority"
        )
        path.write_bytes(
            pkcs12.serialize_java_truststore([trusted], serialization.BestAvailableEncryption(password.encode()))
        )
        return str(path)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _address(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass
class Proxy:
    """Ends TLS and passes everything on to a server; counts who connects."""

    target: tuple[str, int]
    context: ssl.SSLContext
    listener: socket.socket
    handshakes: int = 0
    refused: int = 0
    open: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port: int = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def accept(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        secure = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.open.append(secure)
        try:
            secure.do_handshake()
        except OSError:
            self.refused += 1
            _linger(secure)
            return
        self.handshakes += 1
        with secure, contextlib.suppress(OSError), socket.create_connection(self.target) as behind:
            self.open.append(behind)
            while self._pass_on(secure, behind):
                pass

    def _pass_on(self, secure: ssl.SSLSocket, behind: socket.socket) -> bool:
        ready, _, _ = select.select([secure, behind], [], [])
        for source, sink in ((secure, behind), (behind, secure)):
            if source in ready:
                data = source.recv(1 << 16)
                if not data:
                    return False
                sink.sendall(data)
        return True


@contextlib.contextmanager
def elected(
    zookeeper: str, path: str, target: tuple[str, int], authority: Authority, name: str = "master"
) -> Iterator[tuple[str, Proxy]]:
    """A `zk://` URL at which a proxy before `target` is the Mesos master.

    Its certificate is for `localhost`, and it asks for one.
    """
    client = KazooClient(hosts=zookeeper)
    client.start(timeout=10)
    with proxy(target, authority.issue(name, "localhost"), authority.ca_file) as before:
        info = {"address": {"ip": "127.0.0.1", "hostname": "localhost", "port": before.port}}
        client.create(f"{path}/json.info_0000000000", json.dumps(info).encode(), makepath=True)
        yield f"zk://{zookeeper}{path}", before
    client.delete(path, recursive=True)
    client.stop()
    client.close()


def _linger(sock: socket.socket) -> None:
    """Close only when the other side has read why: what it sends meanwhile would reset the connection."""
    with sock, contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_WR)
        sock.settimeout(2.0)
        while socket.socket.recv(sock, 1 << 16):
            pass


@contextlib.contextmanager
def proxy(target: tuple[str, int], certificate: tuple[str, str], client_ca: str | None = None) -> Iterator[Proxy]:
    """Before `target`; with `client_ca` clients have to show a certificate of it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
    context.load_cert_chain(*certificate)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    made = Proxy(target, context, socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=made.accept, name="tls-proxy", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        for each in (made.listener, *made.open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        made.listener.close()
        thread.join(timeout=10)
