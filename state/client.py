"""A kazoo client that answers or says that it cannot, within a time.

Kazoo's own synchronous calls wait for ever while the connection is suspended. Here every call is
refused at once when there is no connection, is bounded by a time-out, and ends in one of the errors
of `reconciler.ports`: silence is `StoreUnavailable`, never "no such node" (fault 54).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import structlog
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    AuthFailedError,
    BadVersionError,
    InvalidACLError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.protocol.states import KeeperState

from reconciler.ports import StoreError, StoreUnavailable
from state.access import OPEN, Access

_log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
SESSION_TIMEOUT_S = 10.0
POLL_S = 0.05
REFUSED = "ZooKeeper refuses the credentials (authentication failed); correct zookeeper.auth_file, or WEIR_ZK_AUTH_FILE"
WINDOW = 128
"""Reads in flight at once. Kazoo wakes its connection thread by a byte in a socket pair for each
call, so an unbounded number would block the caller once the connection is gone."""

_ANSWERS = (NoNodeError, NodeExistsError, BadVersionError, NotEmptyError)


def connect(
    hosts: str,
    *,
    session_timeout: float = SESSION_TIMEOUT_S,
    timeout: float = CONNECT_TIMEOUT_S,
    access: Access = OPEN,
) -> KazooClient:
    """A started client for `hosts` ("h1:2181,h2:2181", optionally with a chroot); stop and close it at the end.

    `session_timeout` and `timeout` are seconds. Raises `StoreUnavailable` when no server answered within
    `timeout`, and `StoreError` when it did and takes the credentials for wrong.
    """
    client = KazooClient(
        hosts=hosts,
        timeout=session_timeout,
        # The default waits up to an hour between attempts after a long outage.
        connection_retry={"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": 2.0, "max_jitter": 0.3},
        command_retry={"max_tries": 0},
        **access.arguments(),
    )
    client.negotiated_session_s = session_timeout
    _remember_negotiated(client)
    started = client.start_async()
    deadline = time.monotonic() + timeout
    # Kazoo sets the event on success only: a refusal would be waited for until the end.
    while not started.wait(POLL_S) and not credentials_refused(client) and time.monotonic() < deadline:
        pass
    try:
        if not client.connected and not credentials_refused(client):
            raise StoreUnavailable(
                f"ZooKeeper at {hosts} did not answer within {timeout:g} s; "
                "check the address and that the ensemble has a quorum"
            )
        if access.credentials:
            # Connected comes before authenticated; the answer to a first call comes after both.
            Calls(client, timeout).wait("presenting the credentials", partial(client.exists_async, "/"))
    except StoreError:
        client.stop()
        client.close()
        raise
    return client


def credentials_refused(client: KazooClient) -> bool:
    """True when ZooKeeper has ended the session because of the credentials; kazoo does not try again."""
    return bool(client.client_state == KeeperState.AUTH_FAILED)


def _remember_negotiated(client: KazooClient) -> None:
    """Keep the session time-out that the server granted, which kazoo forgets.

    The server bounds what clients ask for (minSessionTimeout, maxSessionTimeout); a lease that
    counted on more than it was given would act after its session is gone.
    """
    inner = client._connection._connect

    def remembering(*args: Any, **kwargs: Any) -> Any:
        times = inner(*args, **kwargs)
        client.negotiated_session_s = times[0] * 1.5 / 1000  # kazoo's read time-out is two thirds, in ms
        return times

    client._connection._connect = remembering


def negotiated_session_s(client: KazooClient, asked: float) -> float:
    """The session time-out in force, in seconds; never more than what was asked for."""
    return float(min(getattr(client, "negotiated_session_s", asked), asked))


class Calls:
    """Bounded calls on one client."""

    def __init__(self, client: KazooClient, timeout: float = CALL_TIMEOUT_S) -> None:
        self.client = client
        self.timeout = timeout

    def connected(self) -> bool:
        return bool(self.client.state == KazooState.CONNECTED and self.client.connected)

    def require(self, what: str) -> None:
        """Fail fast: kazoo would queue the call until the connection comes back."""
        if credentials_refused(self.client):
            raise StoreError(f"{what}: {REFUSED}")
        if not self.connected():
            raise StoreUnavailable(f"{what}: not connected with ZooKeeper")

    def wait(self, what: str, start: Callable[[], Any]) -> Any:
        """Start an asynchronous call and wait for its answer."""
        self.require(what)
        return self._result(what, start())

    def gather(self, what: str, starts: Iterable[Callable[[], Any]], *, denied: Any = None) -> list[Any]:
        """Answers of many reads, pipelined; None where the node does not exist.

        `denied` stands for what ACLs keep from us; without it that is an error of the whole call.
        """
        return list(self.stream(what, starts, denied=denied))

    def stream(self, what: str, starts: Iterable[Callable[[], Any]], *, denied: Any = None) -> Iterator[Any]:
        """The same, one after the other: whoever takes them has a window of them in memory, not all."""
        remaining = iter(starts)
        while window := [start() for start in self._window(what, remaining)]:
            for pending in window:
                try:
                    answer = self._result(what, pending)
                except NoNodeError:
                    answer = None
                except NotPermitted:
                    if denied is None:
                        raise
                    answer = denied
                yield answer

    def _window(self, what: str, remaining: Iterator[Callable[[], Any]]) -> list[Callable[[], Any]]:
        window = list(islice(remaining, WINDOW))
        if window:
            self.require(what)
        return window

    def commit(self, what: str, transaction: Any) -> list[Any]:
        """Results of a multi. When it was refused: the first real error is raised, nothing was applied.

        `TransactionRefused` carries which operation it was.
        """
        results: Sequence[Any] = self.wait(what, transaction.commit_async)
        for index, result in enumerate(results):
            if isinstance(result, RolledBackError | RuntimeInconsistency):
                continue  # undone, or not tried, because of another one's error
            if isinstance(result, Exception):
                raise TransactionRefused(index, result)
        if any(isinstance(result, Exception) for result in results):
            raise StoreUnavailable(f"{what}: ZooKeeper undid the transaction without a reason")
        return list(results)

    def _result(self, what: str, pending: Any) -> Any:
        try:
            return pending.get(timeout=self.timeout)
        except _ANSWERS:
            raise
        except AuthFailedError:
            raise StoreError(f"{what}: {REFUSED}") from None
        except (NoAuthError, InvalidACLError) as error:
            raise NotPermitted(
                f"{what}: ZooKeeper refuses it ({type(error).__name__}); check ACLs and credentials"
            ) from None
        except self.client.handler.timeout_exception:
            raise StoreUnavailable(f"{what}: no answer from ZooKeeper within {self.timeout:g} s") from None
        except KazooException as error:
            raise StoreUnavailable(f"{what}: no answer from ZooKeeper ({type(error).__name__})") from None


class NotPermitted(StoreError):
    """ACLs deny a call to whom ZooKeeper takes us for."""


class TransactionRefused(Exception):
    """One operation of a multi did not apply, hence none did."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(f"operation {index}: {type(error).__name__}")
        self.index = index
        self.error = error

    @property
    def stale(self) -> bool:
        """The tree is not what the writer had read; anything else is a matter of permissions."""
        return isinstance(self.error, BadVersionError | NoNodeError | NodeExistsError)


__all__ = [
    "BadVersionError",
    "Calls",
    "KazooClient",
    "KazooState",
    "NoNodeError",
    "NodeExistsError",
    "NotPermitted",
    "TransactionRefused",
    "connect",
    "credentials_refused",
    "negotiated_session_s",
]
