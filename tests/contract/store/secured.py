"""A ZooKeeper that knows digest, SASL and TLS, of its own beside that of the stack."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integration.local import zookeeper as servers
from integration.local.flink_dist import ensure_flink
from integration.local.packages import find_java
from state.access import OPEN, Access, Credential, Protection, Tls
from state.client import KazooClient, connect

SHADED = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server"
WEIR = Credential("digest", "weir", "the-operators-own")
ANN = Credential("digest", "ann", "the-users-own")
OPERATOR = Access((WEIR,), protection=Protection(WEIR.identity, (ANN.identity,)))
SASL_USERS = {"weir": "sasl-secret", "flink": "flinks-own"}


@dataclass
class Secured:
    """A server of its own, and the clients that a test opened with it."""

    hosts: str
    secure: str
    tls: Tls
    directory: Path
    clients: list[KazooClient] = field(default_factory=list)

    def client(self, access: Access = OPEN, hosts: str | None = None) -> KazooClient:
        client = connect(hosts or self.hosts, session_timeout=4.0, timeout=10.0, access=access)
        self.clients.append(client)
        return client


def certificates(directory: Path) -> Tls:
    """A certificate for 127.0.0.1 that is its own authority, and its key; the server's and the clients'."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weir-test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "ca.pem").write_bytes(pem)
    (directory / "key.pem").write_bytes(private)
    (directory / "server.pem").write_bytes(private + pem)
    ca, key_file = str(directory / "ca.pem"), str(directory / "key.pem")
    return Tls(ca, ca, key_file)


@pytest.fixture(scope="session")
def secured_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One ZooKeeper with SASL (DIGEST-MD5), digest, and a second port with TLS that asks clients for a certificate."""
    directory = tmp_path_factory.mktemp("secured-zookeeper")
    tls = certificates(directory)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    plain, secure = (each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    (directory / "jaas.conf").write_text(
        f"Server {{ {SHADED}.auth.DigestLoginModule required "
        + " ".join(f'user_{user}="{password}"' for user, password in SASL_USERS.items())
        + "; };\n"
    )
    config = directory / "zoo.cfg"
    config.write_text(
        f"tickTime=500\ndataDir={directory}/data\nclientPort={plain}\nclientPortAddress=127.0.0.1\n"
        f"secureClientPort={secure}\nsecureClientPortAddress=127.0.0.1\n"
        f"serverCnxnFactory={SHADED}.NettyServerCnxnFactory\nadmin.enableServer=false\n4lw.commands.whitelist=*\n"
        f"authProvider.1={SHADED}.auth.SASLAuthenticationProvider\n"
        f"ssl.keyStore.location={directory}/server.pem\nssl.keyStore.type=PEM\n"
        f"ssl.trustStore.location={directory}/ca.pem\nssl.trustStore.type=PEM\nssl.clientAuth=need\n"
    )
    (directory / "log4j2.properties").write_text("rootLogger.level = WARN\n")
    java = find_java()
    assert java is not None
    command, *arguments = servers.server_argv(java.path, ensure_flink(), config)
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [command, f"-Djava.security.auth.login.config={directory}/jaas.conf", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while not servers.serves(("127.0.0.1", plain)):
            assert process.poll() is None, (directory / "server.log").read_text()
            assert time.monotonic() < deadline, (directory / "server.log").read_text()
            time.sleep(0.05)
        yield Secured(f"127.0.0.1:{plain}", f"127.0.0.1:{secure}", tls, directory)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def secured(secured_server: Secured) -> Iterator[Secured]:
    yield secured_server
    for client in secured_server.clients:
        client.stop()
        client.close()
    secured_server.clients.clear()
