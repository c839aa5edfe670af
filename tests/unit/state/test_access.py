"""Credentials, certificates and identities of ACLs, as the configuration names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.app.config import ConfigError, ZooKeeper
from state.access import AccessError, Credential, Protection, describe, read_credentials, same

SECRET = "kept-to-myself"
ANN = Credential("digest", "ann", "x")


def _file(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "auth"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_first_credential_owns_what_is_created(tmp_path: Path) -> None:
    path = _file(tmp_path, f"# new, then old\n\ndigest weir:{SECRET}\ndigest weir:the-old:one\n")

    access = ZooKeeper(auth_file=path, acl_users=["world:anyone"]).access()

    assert [each.password for each in access.credentials] == [SECRET, "the-old:one"]
    assert access.protection is not None
    assert access.protection.owner == Credential("digest", "weir", SECRET).identity
    assert SECRET not in repr(access)
    assert SECRET not in repr(access.protection)


def test_an_identity_is_hashed_as_zookeeper_does() -> None:
    # printf super:admin | openssl dgst -sha1 -binary | base64
    assert Credential("digest", "super", "admin").identity == "digest:super:xQJmxLMiHGwaqBvst5y6rkB6HQs="


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (f"digest weir:{SECRET}", 0o644, "is open to every user; run: chmod o-rwx"),
        ("# nothing\n", 0o600, "holds no credential; write: digest USER:PASSWORD"),
        (f"weir:{SECRET}", 0o600, "line 1: the scheme is not one of digest, sasl"),
        (f"digest {SECRET}", 0o600, "line 1: there is no USER:PASSWORD after the scheme"),
        (f"sasl a:{SECRET}\nsasl b:{SECRET}", 0o600, "two credentials for sasl"),
    ],
)
def test_f50_a_file_that_cannot_be_used_is_told_without_its_secret(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    with pytest.raises(AccessError) as refused:
        read_credentials(Path(_file(tmp_path, text, mode)))

    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"acl_users": ["world:anyone"]}, "acl_users needs auth_file"),
        ({"auth_file": "/nowhere/auth"}, "auth_file /nowhere/auth cannot be read: No such file or directory"),
        ({"ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem cannot be read"),
        ({"cert_file": "/nowhere/cert.pem"}, "cert_file and key_file belong together"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=f"configuration: zookeeper: .*{said}"):
        ZooKeeper.model_validate(settings).access()


@pytest.mark.parametrize("identity", ["ann", "digest:ann:password", "world:everyone", "digest:", ":x"])
def test_what_zookeeper_would_not_take_as_an_identity_is_refused(tmp_path: Path, identity: str) -> None:
    settings = ZooKeeper(auth_file=_file(tmp_path, "digest weir:secret"), acl_users=[identity])

    with pytest.raises(ConfigError, match=r"identity|digest:USER:HASH"):
        settings.access()


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used as a certificate"):
        ZooKeeper(ca_file=_file(tmp_path, "not a certificate")).access()


def test_users_have_all_of_what_is_theirs_and_read_the_rest() -> None:
    protection = Protection("sasl:weir", (ANN.identity,), ("sasl:audit",))

    assert describe(protection.owned()) == f"sasl:weir:cdrwa,sasl:audit:r,{ANN.identity}:r"
    assert describe(protection.shared()) == f"sasl:weir:cdrwa,sasl:audit:r,{ANN.identity}:cdrwa"
    assert same(protection.owned(), list(reversed(protection.owned())))
    assert not same(protection.owned(), protection.shared())
