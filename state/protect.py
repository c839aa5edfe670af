"""The ACLs of one installation's tree: whether Weir may lead here, and bringing an existing tree up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from kazoo.security import ACL, CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from reconciler.ports import StoreError
from state.access import Protection, describe, same
from state.client import BadVersionError, Calls, NoNodeError, NotPermitted
from state.layout import Layout

_log = structlog.get_logger(__name__)

_NEVER = 2**31 - 1
"""No node has this version. ZooKeeper looks at the permission first, so that asking changes nothing."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One node whose ACL was not what it is to be; as zkCli.sh writes ACLs."""

    path: str
    before: str
    after: str


def inherited(calls: Calls, folder: str) -> list[ACL] | None:
    """The ACL of `folder`, for what is created in it; None: the client's own default.

    Entries whose hash ZooKeeper shows only to those who may change the ACL cannot be repeated: the
    creator stands for them.
    """
    acls = _acls(calls, folder)
    if acls is None:
        return None
    known = [acl for acl in acls if not (acl.id.scheme == "digest" and acl.id.id.endswith(":x"))]
    if len(known) == len(acls):
        return known
    return [*known, *CREATOR_ALL_ACL] if calls.client.auth_data else None


def _acls(calls: Calls, path: str) -> list[ACL] | None:
    try:
        acls, _ = calls.wait(f"reading the ACL of {path}", partial(calls.client.get_acls_async, path))
    except (NoNodeError, NotPermitted):
        return None
    return list(acls)


def require_owner(calls: Calls, layout: Layout) -> None:
    """Raise StoreError when the tree is there and ACLs do not let us write what a leader writes."""
    write = partial(calls.client.set_async, layout.schema, b"", version=_NEVER)
    try:
        calls.wait(f"writing below {layout.root}", write)
    except (BadVersionError, NoNodeError):
        return
    except NotPermitted:
        acls = _acls(calls, layout.schema)
        owner = f" (its ACL is {describe(acls)})" if acls else ""
        raise StoreError(
            f"the credentials may not write {layout.schema}{owner}; "
            "correct zookeeper.auth_file, or have the owner run: weir protect"
        ) from None


def warn_of_open_nodes(calls: Calls, layout: Layout, protection: Protection) -> None:
    """Say once what an earlier time left open; only a person changes the ACLs of what is there."""
    owned = protection.owned()
    paths = (layout.root, layout.records, layout.status, layout.events, layout.election, layout.epoch, layout.schema)
    left = [path for path in paths if not same(_acls(calls, path) or owned, owned)]
    if left:
        _log.warning("zookeeper.acls_differ", nodes=left, hint="run: weir protect --config FILE")


def protect(calls: Calls, layout: Layout, protection: Protection | None, *, dry: bool = False) -> Iterator[Changed]:
    """Bring every node below the root to its ACL; None: open to everybody. Safe to repeat, at any time.

    Children come before their parents: whoever may change an ACL only by the present one loses it last.
    """
    owned = protection.owned() if protection is not None else OPEN_ACL_UNSAFE
    shared = protection.shared() if protection is not None else OPEN_ACL_UNSAFE
    for folder in _children(calls, layout.root):
        wanted = shared if folder in (layout.jobs, layout.control) else owned
        for path in (*_below(calls, folder), folder):
            yield from _set(calls, path, wanted, dry=dry)
    yield from _set(calls, layout.root, owned, dry=dry)


def _below(calls: Calls, path: str) -> Iterator[str]:
    for child in _children(calls, path):
        yield from _below(calls, child)
        yield child


def _children(calls: Calls, path: str) -> list[str]:
    try:
        names = calls.wait(f"listing {path}", partial(calls.client.get_children_async, path))
    except NoNodeError:
        return []
    return [f"{path}/{name}" for name in sorted(names)]


def _set(calls: Calls, path: str, wanted: Sequence[ACL], *, dry: bool) -> Iterator[Changed]:
    client = calls.client
    try:
        before, _ = calls.wait(f"reading the ACL of {path}", partial(client.get_acls_async, path))
        if same(before, wanted):
            return
        if not dry:
            calls.wait(f"setting the ACL of {path}", partial(client.set_acls_async, path, list(wanted)))
    except NoNodeError:
        return  # it was removed meanwhile
    yield Changed(path, describe(before), describe(wanted))
