"""Who Weir is to ZooKeeper, over which transport, and who may do what below its root.

    /weir, status, records, events, leader, framework, schema, operator   owner: all; readers: read
    /weir/jobs, /weir/control, and what is in them                        owner, users: all; readers: read

Users who have these rights change desired state and ask for things; they cannot write what Weir
remembers, says or is fenced by. The permission to create and delete is that of the parent (ZooKeeper
Programmer's Guide, "ZooKeeper access control using ACLs"), so the root is the owner's as well. Users have
the permission "admin" on what is theirs because ZooKeeper shows the hashes of an ACL to no one else, and
`weir apply` gives a new job the ACL of its parent.

Credentials come from a file, never from an argument or the environment: both are visible to others.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kazoo.security import ACL, Id, make_acl

SCHEMES = ("digest", "sasl")
ANYONE = "world:anyone"
_FORM = "write: digest USER:PASSWORD, or: sasl USER:PASSWORD"


class AccessError(ValueError):
    """A credential, certificate or identity that cannot be used: which, why, and what to write."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One line of the file: whom ZooKeeper takes us for."""

    scheme: str
    user: str
    password: str = field(repr=False)

    @property
    def identity(self) -> str:
        """As ACLs name it: `digest:USER:HASH` or `sasl:USER`. The hash is ZooKeeper's, of the user and the password."""
        if self.scheme == "sasl":
            return f"sasl:{self.user}"
        digest = hashlib.sha1(f"{self.user}:{self.password}".encode()).digest()  # noqa: S324  (ZooKeeper's choice)
        return f"digest:{self.user}:{base64.b64encode(digest).decode()}"


@dataclass(frozen=True, slots=True)
class Protection:
    """Identities as ACLs name them (`digest:USER:HASH`, `sasl:USER`, `x509:SUBJECT`, `world:anyone`)."""

    owner: str
    users: tuple[str, ...] = (ANYONE,)
    """Who writes desired state and requests."""
    readers: tuple[str, ...] = (ANYONE,)

    def owned(self) -> list[ACL]:
        """For what only Weir writes."""
        return self._acls(users=False)

    def shared(self) -> list[ACL]:
        """For what users write."""
        return self._acls(users=True)

    def _acls(self, *, users: bool) -> list[ACL]:
        # ZooKeeper grants what any entry grants; one entry for each identity keeps `getAcl` readable.
        readers = [each for each in dict.fromkeys((*self.readers, *self.users)) if each != self.owner]
        writers = {each for each in self.users if users}
        found = [_acl(self.owner, "cdrwa")]
        found += [_acl(each, "cdrwa" if each in writers else "r") for each in readers]
        return found


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM; without `ca_file` the certificates of the system decide."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Those of a KazooClient. The server's name is always checked."""
        return {
            "use_ssl": True,
            "verify_certs": True,
            "check_hostname": True,
            "ca": self.ca_file,
            "certfile": self.cert_file,
            "keyfile": self.key_file,
        }

    def context(self, *, check_hostname: bool = True) -> ssl.SSLContext:
        """The same for a connection of one's own. Raises OSError."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.check_hostname = check_hostname
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


@dataclass(frozen=True, slots=True)
class Access:
    """How a client connects; the default is an open ensemble without TLS."""

    credentials: tuple[Credential, ...] = ()
    tls: Tls | None = None
    protection: Protection | None = None

    def arguments(self) -> dict[str, Any]:
        """Those of a KazooClient. What it creates is the owner's unless a call says otherwise."""
        found: dict[str, Any] = self.tls.arguments() if self.tls is not None else {}
        found["auth_data"] = [
            (each.scheme, f"{each.user}:{each.password}") for each in self.credentials if each.scheme == "digest"
        ]
        for each in self.credentials:
            if each.scheme == "sasl":
                found["sasl_options"] = {
                    "mechanism": "DIGEST-MD5",
                    "username": each.user,
                    "password": each.password,
                    "service": "zookeeper",
                }
        if self.protection is not None:
            found["default_acl"] = self.protection.owned()
        return found


OPEN = Access()


def read_access(
    auth_file: str | None,
    tls: Tls | None = None,
    *,
    users: Sequence[str] | None = None,
    readers: Sequence[str] = (ANYONE,),
) -> Access:
    """What the settings say. `users` None: Weir sets no ACLs. Raises AccessError."""
    credentials = read_credentials(Path(auth_file)) if auth_file is not None else ()
    if tls is not None:
        check_tls(tls)
    if users is None:
        return Access(credentials, tls)
    if not credentials:
        raise AccessError("acl_users needs auth_file: without credentials of its own Weir would lock itself out")
    for each in (*users, *readers):
        check_identity(each)
    return Access(credentials, tls, Protection(credentials[0].identity, tuple(users), tuple(readers)))


def read_credentials(path: Path) -> tuple[Credential, ...]:
    """The lines `SCHEME USER:PASSWORD` of a file that only its owner reads. Raises AccessError, never with a secret."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise AccessError(f"auth_file {path} cannot be read: {why}") from None
    if stat.S_IMODE(mode) & 0o007:
        raise AccessError(f"auth_file {path} is open to every user; run: chmod o-rwx {path}")
    found: list[Credential] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            found.append(_credential(line, f"auth_file {path}, line {number}"))
    if not found:
        raise AccessError(f"auth_file {path} holds no credential; {_FORM}")
    if sum(each.scheme == "sasl" for each in found) > 1:
        raise AccessError(f"auth_file {path} holds two credentials for sasl; a connection has one")
    return tuple(found)


def _credential(line: str, where: str) -> Credential:
    scheme, _, rest = line.strip().partition(" ")
    user, colon, password = rest.strip().partition(":")
    if scheme not in SCHEMES:
        raise AccessError(f"{where}: the scheme is not one of {', '.join(SCHEMES)}; {_FORM}")
    if not user or not colon or not password:
        raise AccessError(f"{where}: there is no USER:PASSWORD after the scheme; {_FORM}")
    if scheme == "sasl" and importlib.util.find_spec("puresasl") is None:
        raise AccessError(f"{where}: sasl needs the package pure-sasl; run: pip install 'weir[sasl]', or use digest")
    return Credential(scheme, user, password)


def check_identity(text: str) -> None:
    """Refuse what ZooKeeper would not take as an identity of an ACL. Raises AccessError."""
    scheme, colon, name = text.partition(":")
    if not scheme or not colon or not name:
        raise AccessError(f'"{text}" is not an identity; write {ANYONE}, digest:USER:HASH, sasl:USER or x509:SUBJECT')
    if scheme == "digest" and len(name.partition(":")[2]) != 28:
        raise AccessError(
            f'"{text[:40]}" is not digest:USER:HASH; make the hash: '
            "printf USER:PASSWORD | openssl dgst -sha1 -binary | base64"
        )
    if scheme == "world" and name != "anyone":
        raise AccessError(f'"{text}" is not an identity; of the scheme world there is {ANYONE} only')


def check_tls(tls: Tls) -> None:
    """Refuse files that no connection could be made with. Raises AccessError."""
    if (tls.cert_file is None) != (tls.key_file is None):
        raise AccessError("cert_file and key_file belong together; name both or neither")
    for path in (tls.ca_file, tls.cert_file, tls.key_file):
        if path is None:
            continue
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise AccessError(f"{path} cannot be read: {error.strerror}") from None
    try:
        tls.context()
    except ssl.SSLError as error:
        wrong = tls.cert_file or tls.ca_file
        raise AccessError(f"{wrong} cannot be used as a certificate: {error.reason or error}") from None


def _acl(identity: str, permissions: str) -> ACL:
    scheme, _, name = identity.partition(":")
    flags = {"c": "create", "d": "delete", "r": "read", "w": "write", "a": "admin"}
    return make_acl(scheme, name, **{flags[each]: True for each in permissions})


def describe(acls: Sequence[ACL]) -> str:
    """As zkCli.sh writes them: `world:anyone:r,digest:…:cdrwa`."""
    letters = (("c", 4), ("d", 8), ("r", 1), ("w", 2), ("a", 16))
    return ",".join(
        f"{acl.id.scheme}:{acl.id.id}:{''.join(letter for letter, bit in letters if acl.perms & bit)}" for acl in acls
    )


def same(one: Sequence[ACL], other: Sequence[ACL]) -> bool:
    """Whether two lists grant the same; ZooKeeper does not keep an order that means anything."""
    return {(acl.perms, acl.id) for acl in one} == {(acl.perms, acl.id) for acl in other}


__all__ = [
    "OPEN",
    "Access",
    "AccessError",
    "Credential",
    "Id",
    "Protection",
    "Tls",
    "check_identity",
    "check_tls",
    "describe",
    "read_access",
    "read_credentials",
    "same",
]
