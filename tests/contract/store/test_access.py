"""Credentials, TLS and ACLs on a ZooKeeper that knows digest, SASL and TLS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl

from reconciler.app.admission import Admission
from reconciler.model.operator import OperatorRecord
from reconciler.model.spec_errors import DEFAULT_LIMITS
from reconciler.model.status import LeaderInfo
from reconciler.ports import JobChange, OperatorChange, StoreError, StoreUnavailable
from state.access import Access, Credential, Protection
from state.client import Calls, KazooClient, credentials_refused
from state.election import ZooKeeperElection
from state.layout import Layout
from state.protect import protect
from state.zookeeper import ZooKeeperStore
from tests.contract.store.secured import ANN, OPERATOR, WEIR, Secured, certificates

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[3]


def _root() -> str:
    return f"/weir-{uuid.uuid4().hex[:8]}"


def _lead(client: KazooClient, root: str, samples: Any) -> Any:
    """A leader that has written one of everything."""
    store = ZooKeeperStore(client, root, protection=OPERATOR.protection)
    store.ensure_layout()
    info = LeaderInfo(replica="one", host="host-1", pid=1, version="0.1.0")
    lease = ZooKeeperElection(client, root, 4.0).acquire(info, timeout=10.0)
    assert lease is not None
    store.save_framework_id(lease.fence, "framework-1")
    store.commit_operator(lease.fence, OperatorChange(OperatorRecord(), None))
    change = JobChange("orders", samples.record(), None, status=samples.status(), events=(samples.event(),))
    store.commit(lease.fence, change)
    return lease


def _all(client: KazooClient, path: str) -> list[str]:
    found = [path]
    for child in client.get_children(path):
        found += _all(client, f"{path}/{child}")
    return found


OWNED = (
    "records/orders", "status/orders", "events/orders",
    "leader/epoch", "leader/info", "framework", "schema", "operator",
)  # fmt: skip


def test_users_of_desired_state_cannot_write_what_weir_owns(secured: Secured, samples: Any) -> None:
    root = _root()
    lease = _lead(secured.client(OPERATOR), root, samples)
    user = secured.client(Access((ANN,)))

    for node in (*OWNED, "records", "status", "events", "leader", "leader/election"):
        with pytest.raises(NoAuthError):
            user.set(f"{root}/{node}", b"forged")
        with pytest.raises(NoAuthError):
            user.create(f"{root}/{node}/forged", b"")
        with pytest.raises(NoAuthError):
            user.set_acls(f"{root}/{node}", [make_acl("world", "anyone", all=True)])
    for node in (*OWNED, "jobs", "control"):
        with pytest.raises(NoAuthError):
            user.delete(f"{root}/{node}")
    assert user.get(f"{root}/records/orders")[0]
    assert lease.may_act()


def test_users_write_desired_state_and_requests_and_others_do_not(secured: Secured, samples: Any) -> None:
    root = _root()
    lease = _lead(secured.client(OPERATOR), root, samples)
    ann, nobody = secured.client(Access((ANN,))), secured.client()
    store = ZooKeeperStore(ann, root)

    store.put_job("orders", b"{}")
    store.put_job("orders", b'{"a": 1}', expected=0)
    store.put_request("orders", b'{"action": "pause"}')

    for node in ("jobs/orders", "control/orders"):
        with pytest.raises(NoAuthError):
            nobody.set(f"{root}/{node}", b"forged")
    with pytest.raises(StoreError, match="check ACLs and credentials"):
        ZooKeeperStore(nobody, root).put_job("other", b"{}")
    operator = ZooKeeperStore(secured.client(OPERATOR), root)
    assert operator.load_jobs().specs["orders"].data == b'{"a": 1}'
    request = operator.load_control()["orders"]
    operator.commit(lease.fence, JobChange("orders", samples.record(), 0, answered=request.ref.version))
    store.delete_job("orders")
    assert not operator.load_jobs().specs


def test_what_an_acl_keeps_from_weir_is_one_jobs_problem(secured: Secured, samples: Any) -> None:
    root = _root()
    _lead(secured.client(OPERATOR), root, samples)
    ann = secured.client(Access((ANN,)))
    mine = [make_acl("digest", ANN.identity.partition(":")[2], all=True)]
    store = ZooKeeperStore(ann, root)
    store.put_job("orders", b"{}")
    ann.create(f"{root}/jobs/hidden", b"{}", acl=mine)
    ann.create(f"{root}/control/hidden", b'{"action": "pause"}', acl=mine)

    operator = ZooKeeperStore(secured.client(OPERATOR), root)
    operator.watch(lambda _: None)
    tree = operator.load_jobs()

    assert set(tree.specs) == {"orders", "hidden"}
    parsed = Admission(DEFAULT_LIMITS).parse(tree.specs["hidden"])
    assert parsed.spec is None
    assert "does not let Weir read it" in str(parsed.error)
    assert operator.load_control()["hidden"].unreadable
    ann.set_acls(f"{root}/jobs/hidden", [make_acl("world", "anyone", all=True)])
    assert operator.load_jobs().specs["hidden"].data == b"{}"


def test_a_tree_of_an_earlier_time_is_brought_up_to_date_and_opened_again(
    secured: Secured, samples: Any, tmp_path: Path
) -> None:
    root = _root()
    old = secured.client()
    ZooKeeperStore(old, root).ensure_layout()
    ZooKeeperStore(old, root).put_job("orders", b"{}")
    (tmp_path / "auth").write_text(f"digest weir:{WEIR.password}\n")
    (tmp_path / "auth").chmod(0o600)
    (tmp_path / "weir.toml").write_text(
        f'[zookeeper]\nhosts = "{secured.hosts}"\nroot = "{root}"\nauth_file = "{tmp_path}/auth"\n'
        f'acl_users = ["{ANN.identity}"]\n'
    )

    first = _weir("protect", "--config", str(tmp_path / "weir.toml"))
    again = _weir("protect", "--config", str(tmp_path / "weir.toml"))

    assert first.returncode == 0, first.stderr
    assert f"changed {len(_all(old, root))} nodes below {root}" in first.stdout
    assert f"{root} is as configured" in again.stdout
    with pytest.raises(NoAuthError):
        old.set(f"{root}/jobs/orders", b"forged")
    ZooKeeperStore(secured.client(Access((ANN,))), root).put_job("orders", b'{"a": 1}')
    _lead(secured.client(OPERATOR), root, samples)
    assert not list(protect(Calls(secured.client(OPERATOR)), Layout(root), OPERATOR.protection))
    list(protect(Calls(secured.client(OPERATOR)), Layout(root), None))
    old.set(f"{root}/jobs/orders", b"open")


def _weir(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "weir"), *arguments],
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_credentials_of_somebody_else_are_told_in_one_line(secured: Secured, samples: Any) -> None:
    root = _root()
    _lead(secured.client(OPERATOR), root, samples)
    wrong = Credential("digest", "weir", "a-wrong-password")
    store = ZooKeeperStore(secured.client(Access((wrong,), protection=Protection(wrong.identity))), root)

    with pytest.raises(StoreError, match=r"may not write .*/schema .*correct zookeeper\.auth_file"):
        store.ensure_layout()


@pytest.mark.parametrize("password", ["sasl-secret", "wrong-secret"])
def test_sasl_lets_in_who_knows_the_password_and_gives_up_at_once_otherwise(secured: Secured, password: str) -> None:
    weir = Credential("sasl", "weir", password)
    access = Access((weir,), protection=Protection(weir.identity))
    began = time.monotonic()
    if password == "wrong-secret":
        with pytest.raises(StoreError, match="refuses the credentials") as refused:
            secured.client(access)
        assert not isinstance(refused.value, StoreUnavailable)
        assert password not in str(refused.value)
        assert time.monotonic() - began < 8
        return
    client = secured.client(access)
    root = _root()
    ZooKeeperStore(client, root, protection=access.protection).ensure_layout()
    with pytest.raises(NoAuthError):
        secured.client().set(f"{root}/records", b"forged")
    client.set(f"{root}/records", b"")
    assert not credentials_refused(client)


def test_commands_take_the_credentials_from_the_environment(secured: Secured, samples: Any, tmp_path: Path) -> None:
    root = _root()
    _lead(secured.client(OPERATOR), root, samples)
    auth, wrong = tmp_path / "auth", tmp_path / "wrong"
    auth.write_text(f"# Ann's\ndigest ann:{ANN.password}\n")
    wrong.write_text("sasl weir:wrong-secret\n")
    for path in (auth, wrong):
        path.chmod(0o600)
    where = ("--zk", secured.hosts, "--root", root)

    apply = ("apply", "-f", str(ROOT / "examples/minimal.json"), *where)
    refused = _weir(*apply)
    done = _weir(*apply, WEIR_ZK_AUTH_FILE=str(auth))
    mistaken = _weir("get", *where, WEIR_ZK_AUTH_FILE=str(wrong))

    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
    assert "check ACLs and credentials" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert (mistaken.returncode, mistaken.stderr.count("\n")) == (1, 1), mistaken.stderr
    assert "refuses the credentials" in mistaken.stderr
    assert "wrong-secret" not in mistaken.stderr


def test_tls_with_a_certificate_of_its_own(secured: Secured) -> None:
    client = secured.client(Access((WEIR,), tls=secured.tls), secured.secure)

    assert client.exists("/") is not None


def test_an_authority_that_is_not_known_is_told_in_one_line(secured: Secured, tmp_path: Path) -> None:
    own = certificates(tmp_path)

    said = _weir("get", "--zk", secured.secure, WEIR_ZK_CA_FILE=str(own.ca_file))
    plain = _weir("get", "--zk", secured.secure)

    assert (said.returncode, said.stderr.count("\n")) == (5, 1), said.stderr
    assert "certificate verify failed" in said.stderr
    assert (plain.returncode, plain.stderr.count("\n")) == (5, 1), plain.stderr
    assert "WEIR_ZK_CA_FILE" in plain.stderr


def test_a_replica_with_wrong_credentials_ends_and_does_not_try_again(
    secured: Secured, samples: Any, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """As `weir run` does it: one line, exit code 1, and a session that is over."""
    root = _root()
    _lead(secured.client(OPERATOR), root, samples)
    auth = tmp_path / "auth"
    auth.write_text("digest weir:a-wrong-password\n")
    auth.chmod(0o600)
    options = ["--zk", secured.hosts, "--root", root, "--master", "127.0.0.1:1", "--storage", f"file://{tmp_path}"]
    said = _weir("run", *options, "--flink", "2.2=/opt/flink", "--api", "off", WEIR_ZK_AUTH_FILE=str(auth))

    assert said.returncode == 1
    assert [line for line in said.stderr.splitlines() if line.startswith("error:")] == said.stderr.splitlines()[-1:]
    assert "correct zookeeper.auth_file" in said.stderr
    assert "a-wrong-password" not in said.stderr
