"""A lease is believed only while it is checked; time and connection are the test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kazoo.client import KazooState
from kazoo.exceptions import ConnectionLoss, NoNodeError

from reconciler.ports import Fence
from state.layout import Layout
from state.lease import BELIEVED, ZooKeeperLease

SESSION_S = 600.0
"""Long, so that the lease's own thread sleeps through the test."""
NODE = "0123456789abcdef0123456789abcdef-0000000000"


@dataclass
class Answer:
    value: Any

    def get(self, timeout: float) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def wait(self, timeout: float) -> None:
        pass


@dataclass
class Client:
    """The part of a kazoo client that a lease uses."""

    state: str = KazooState.CONNECTED
    client_state: str = "CONNECTED"
    connected: bool = True
    owner: int = 7
    epoch_version: int = 3
    error: Exception | None = None
    listeners: set[Callable[[str], None]] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    handler: Any = field(default_factory=lambda: SimpleNamespace(timeout_exception=TimeoutError))

    def add_listener(self, listener: Callable[[str], None]) -> None:
        self.listeners.add(listener)

    def remove_listener(self, listener: Callable[[str], None]) -> None:
        self.listeners.discard(listener)

    def become(self, state: str) -> None:
        self.state, self.connected = state, state == KazooState.CONNECTED
        for listener in list(self.listeners):
            listener(state)

    def sync_async(self, path: str) -> Answer:
        return Answer(path)

    def get_async(self, path: str, watch: Any = None) -> Answer:
        if self.error is not None:
            return Answer(self.error)
        return Answer((b"", SimpleNamespace(ephemeralOwner=self.owner, version=self.epoch_version)))

    def delete_async(self, path: str) -> Answer:
        self.deleted.append(path)
        return Answer(None)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(client: Client, clock: Clock) -> Iterator[ZooKeeperLease]:
    made = ZooKeeperLease(client, Layout(), Fence(4, 3), NODE, 7, SESSION_S, clock)
    made.begin(clock.now)
    yield made
    made.release()


def test_f06_without_a_check_the_lease_ends_before_the_session(lease: ZooKeeperLease, clock: Clock) -> None:
    clock.now += SESSION_S / 2
    assert lease.may_act()

    clock.now += SESSION_S / 2 - 1

    assert not lease.may_act()
    assert not lease.lost()


def test_f06_a_check_counts_from_when_it_was_sent(lease: ZooKeeperLease, clock: Clock) -> None:
    clock.now += 300

    lease.check()

    clock.now += SESSION_S * BELIEVED - 1
    assert lease.may_act()


def test_f06_a_check_without_an_answer_renews_nothing(lease: ZooKeeperLease, client: Client, clock: Clock) -> None:
    clock.now += 300
    client.error = ConnectionLoss()

    lease.check()

    clock.now += SESSION_S * BELIEVED - 300
    assert not lease.may_act()
    assert not lease.lost()


def test_f03_suspended_is_the_end_of_acting_until_a_check_succeeds(lease: ZooKeeperLease, client: Client) -> None:
    client.become(KazooState.SUSPENDED)
    assert not lease.may_act()

    # Connected again is not enough: somebody else may lead by now.
    client.state, client.connected = KazooState.CONNECTED, True
    assert not lease.may_act()
    lease.check()

    assert lease.may_act()


def test_f03_a_check_that_began_before_the_suspension_proves_nothing(lease: ZooKeeperLease, client: Client) -> None:
    answered = client.get_async

    def suspended_meanwhile(path: str, watch: Any = None) -> Answer:
        client.become(KazooState.SUSPENDED)
        client.state, client.connected = KazooState.CONNECTED, True
        return answered(path)

    client.get_async = suspended_meanwhile  # type: ignore[method-assign]
    lease.check()

    assert not lease.may_act()


@pytest.mark.parametrize(
    "change",
    [
        {"owner": 8},
        {"epoch_version": 4},
        {"error": NoNodeError()},
    ],
    ids=["node of another session", "epoch moved", "node gone"],
)
def test_s05_what_a_check_finds_ends_the_lease(lease: ZooKeeperLease, client: Client, change: dict[str, Any]) -> None:
    for name, value in change.items():
        setattr(client, name, value)

    lease.check()

    assert lease.lost()
    assert not lease.may_act()


def test_f02_a_lost_session_ends_the_lease_for_good(lease: ZooKeeperLease, client: Client) -> None:
    client.become(KazooState.LOST)
    client.become(KazooState.CONNECTED)
    lease.check()

    assert lease.lost()
    assert not lease.may_act()
    assert client.listeners == set()


def test_releasing_deletes_the_own_node_once(lease: ZooKeeperLease, client: Client) -> None:
    lease.release()
    lease.release()

    assert client.deleted == [f"/weir/leader/election/{NODE}"]
    assert (lease.may_act(), lease.lost()) == (False, True)
