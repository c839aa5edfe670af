"""Leader election on ZooKeeper, and the lease that says for how long leading may be believed.

Contenders are ephemeral sequential nodes; the lowest leads, each of the others watches only its
predecessor. Becoming leader is one multi: {own node exists, epoch +1, leader info}. The version of
the epoch node after it is the fence of every later write (S5); the node is never deleted.

Kazoo's own recipes are not used because they miss what this needs: they go on leading after the
session is gone, block while the connection is suspended, and may leave a contender behind whose
creation was answered too late (kazoo #732), which then blocks everyone. Here a contender carries a
uuid in its name, by which a node whose creation was not answered is recognised (fault 7).

A lease is believed only while it is checked: `may_act` is False at once when the connection is
suspended (fault 3), and whenever the last successful check is older than two thirds of the session
time-out, so that it ends before the session can (faults 2, 6).
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from reconciler.model.status import LeaderInfo
from reconciler.ports import Fence, StoreError, StoreUnavailable
from state.client import (
    SESSION_TIMEOUT_S,
    Calls,
    KazooClient,
    KazooState,
    NoNodeError,
    TransactionRefused,
    negotiated_session_s,
)
from state.codec import encode_leader
from state.layout import Layout, check_schema
from state.lease import ZooKeeperLease, now

_log = structlog.get_logger(__name__)

RETRY_S = 0.5
LOOK_S = 5.0
"""Contenders look again this often although a watch would tell them (fault 15)."""
_NODE = re.compile(r"^([0-9a-f]{32})-(-?\d{10})$")


class ZooKeeperElection:
    """`Election` for one replica; `acquire` may be called again after a lease was lost."""

    def __init__(
        self,
        client: KazooClient,
        root: str = "/weir",
        session_timeout: float = SESSION_TIMEOUT_S,
        clock: Callable[[], float] = now,
    ) -> None:
        self._client = client
        self._layout = Layout(root)
        self._session_timeout = session_timeout
        self._clock = clock
        self._calls = Calls(client, timeout=max(session_timeout / 2, 1.0))
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._id = uuid.uuid4().hex
        """Stays the same for a session, so that a node which was created too late is found later."""
        self._session: int | None = None

    def acquire(self, info: LeaderInfo, timeout: float | None = None) -> ZooKeeperLease | None:
        """Wait until this replica leads; None after `timeout` seconds or `stop`.

        Raises `SchemaTooNew` when a newer Weir wrote the tree: an older one must not lead (fault 60).
        """
        deadline = None if timeout is None else self._clock() + timeout
        lease: ZooKeeperLease | None = None
        self._client.add_listener(self._on_state)
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                try:
                    lease, wait_s = self._contend(info)
                except StoreUnavailable as error:
                    _log.warning("election.unavailable", error=str(error))
                    wait_s = RETRY_S
                if lease is not None:
                    return lease
                left = wait_s if deadline is None else min(wait_s, deadline - self._clock())
                if left < 0:
                    return None
                self._wake.wait(left)
            return None
        finally:
            self._client.remove_listener(self._on_state)
            if lease is None:
                self._withdraw()

    def stop(self) -> None:
        """Make this and every later `acquire` return None."""
        self._stopped.set()
        self._wake.set()

    def _contend(self, info: LeaderInfo) -> tuple[ZooKeeperLease | None, float]:
        """One look at the election: the lease, or how long to wait for something to happen."""
        contenders = self._contenders()
        own = next((node for node in contenders if node.startswith(self._id)), None)
        if own is None or self._session != self._session_id():
            self._join(info)
            return None, 0.0
        place = contenders.index(own)
        if place == 0:
            return self._lead(own, info), 0.0
        predecessor = partial(
            self._client.exists_async, f"{self._layout.election}/{contenders[place - 1]}", watch=self._on_event
        )
        present = self._calls.wait("watching the predecessor", predecessor) is not None
        return None, LOOK_S if present else 0.0

    def _contenders(self) -> list[str]:
        """Election nodes in order; whatever else stands there is no contender."""
        try:
            children = self._calls.wait(
                "listing contenders", partial(self._client.get_children_async, self._layout.election)
            )
        except NoNodeError:
            raise StoreError(f"{self._layout.election} is missing; the layout was not created") from None
        nodes = [(int(match[2]), name) for name in children if (match := _NODE.match(name))]
        return [name for _, name in sorted(nodes)]

    def _join(self, info: LeaderInfo) -> None:
        """Create the own node. Whether it worked is seen by listing, not by the answer (fault 7)."""
        session = self._session_id()
        if session != self._session:
            # Nodes of an earlier session are not ours any more; its server-side end removes them (fault 11).
            self._id, self._session = uuid.uuid4().hex, session
        create = partial(
            self._client.create_async,
            f"{self._layout.election}/{self._id}-",
            info.replica.encode(),
            ephemeral=True,
            sequence=True,
        )
        try:
            node = self._calls.wait("joining the election", create).rsplit("/", 1)[-1]
        except NoNodeError:
            raise StoreError(f"{self._layout.election} is missing; the layout was not created") from None
        _log.debug("election.joined", node=node)

    def _lead(self, own: str, info: LeaderInfo) -> ZooKeeperLease | None:
        """Take the next epoch; None when something changed meanwhile and it is to be looked at again."""
        layout, client = self._layout, self._client
        own_path = f"{layout.election}/{own}"
        self._calls.wait("syncing", partial(client.sync_async, layout.epoch))
        schema, epoch, leader, node = self._calls.gather(
            "reading the epoch",
            [partial(client.get_async, path) for path in (layout.schema, layout.epoch, layout.leader_info, own_path)],
        )
        if schema is None or epoch is None:
            raise StoreError(f"{layout.schema} or {layout.epoch} is missing; the layout was not created")
        check_schema(schema[0])
        session = self._session_id()
        if node is None or node[1].ephemeralOwner != session:
            _log.error("election.foreign_node", node=own, owner=node and node[1].ephemeralOwner, session=session)
            self._session = None  # join anew under another id
            return None
        number = _epoch_number(epoch) + 1
        value = encode_leader(info.model_copy(update={"epoch": number, "since": _now()}), own)
        transaction = client.transaction()
        transaction.check(own_path, 0)
        transaction.check(layout.schema, schema[1].version)
        transaction.set_data(layout.epoch, str(number).encode(), version=epoch[1].version)
        if leader is None:
            transaction.create(layout.leader_info, value)
        else:
            transaction.set_data(layout.leader_info, value)
        sent_at = self._clock()
        try:
            results = self._calls.commit("taking the lead", transaction)
        except TransactionRefused as refused:
            _log.info("election.lead_refused", epoch=number, error=str(refused))
            return None
        fence = Fence(number, int(results[2].version))
        _log.info("election.leading", epoch=number, node=own)
        granted = negotiated_session_s(client, self._session_timeout)
        lease = ZooKeeperLease(client, layout, fence, own, int(session or 0), granted, self._clock)
        lease.begin(sent_at)
        return lease

    def _withdraw(self) -> None:
        """Leave the queue, so that a replica which no longer waits blocks nobody; never waits for long."""
        try:
            mine = [node for node in self._contenders() if node.startswith(self._id)]
            self._calls.gather(
                "leaving the election",
                [partial(self._client.delete_async, f"{self._layout.election}/{node}") for node in mine],
            )
        except StoreError as error:
            # The session's end removes it; a later `acquire` of this replica finds it by its uuid.
            _log.warning("election.withdraw_failed", error=str(error))

    def _session_id(self) -> int | None:
        client_id = self._client.client_id
        return None if client_id is None else int(client_id[0])

    def _on_state(self, state: str) -> None:
        if state != KazooState.SUSPENDED:
            self._wake.set()

    def _on_event(self, _event: Any) -> None:
        self._wake.set()


def _epoch_number(node: tuple[bytes, Any]) -> int:
    """The epoch that stands in the node; its version if that is not a number, which fences as well."""
    try:
        return max(int(node[0]), int(node[1].version))
    except ValueError:
        _log.error("election.epoch_unreadable", data=repr(node[0][:20]))
        return int(node[1].version)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
