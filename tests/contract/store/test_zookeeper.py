"""What only a real ZooKeeper shows: lost connections, lost answers, sessions, many nodes."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from reconciler.model.events import StoredRecord
from reconciler.ports import Fenced, JobChange, StoreError, StoreUnavailable
from state import client as client_module
from state.client import connect
from state.election import ZooKeeperElection
from state.zookeeper import ZooKeeperStore

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

Eventually = Callable[..., Any]


class Proxy:
    """A TCP relay to ZooKeeper that can be cut, held (bytes stop, sockets stay) and mended."""

    def __init__(self, target: str) -> None:
        host, port = target.split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._links: list[tuple[socket.socket, socket.socket]] = []
        self._cut = False
        self._held: set[str] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._cut = True

    def hold(self, *directions: str) -> None:
        """Stop relaying "up" (to the server), "down" (to the client), or both."""
        self._held = set(directions)

    def mend(self) -> None:
        self._cut, self._held = False, set()

    def close(self) -> None:
        self._closed = True
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closed:
            if self._cut:
                self._drop()
            readable = {self._listener: None} | self._sources()
            for source in select.select(list(readable), [], [], 0.02)[0]:
                if source is self._listener:
                    self._accept()
                else:
                    self._relay(source, readable[source])
        self._drop()
        self._listener.close()

    def _sources(self) -> dict[Any, Any]:
        sources = {}
        for down, up in self._links:
            if "up" not in self._held:
                sources[down] = up
            if "down" not in self._held:
                sources[up] = down
        return sources

    def _accept(self) -> None:
        down, _ = self._listener.accept()
        if self._cut:
            down.close()
            return
        self._links.append((down, socket.create_connection(self._target)))

    def _relay(self, source: socket.socket, sink: Any) -> None:
        with suppress(OSError):
            data = source.recv(65536)
            if data:
                sink.sendall(data)
                return
        self._links = [link for link in self._links if source not in link or self._close(link)]

    def _drop(self) -> None:
        for link in self._links:
            self._close(link)
        self._links = []

    @staticmethod
    def _close(link: tuple[socket.socket, socket.socket]) -> bool:
        for end in link:
            end.close()
        return False


@pytest.fixture
def proxy(stack: Any) -> Iterator[Proxy]:
    made = Proxy(stack.zk)
    yield made
    made.close()


def test_f03_a_suspended_leader_may_not_act_and_goes_on_when_reconnected(
    zookeeper: Any, proxy: Proxy, samples: Any, eventually: Eventually
) -> None:
    replica = zookeeper.replica(proxy.address)
    lease = replica.lead()

    proxy.cut()
    eventually(lambda: not lease.may_act(), 5)
    with pytest.raises(StoreUnavailable):
        replica.store.commit(lease.fence, JobChange("orders", samples.record(), None))
    with pytest.raises(StoreUnavailable):
        replica.store.load_jobs()
    assert not lease.lost()

    proxy.mend()
    eventually(lease.may_act)
    assert replica.store.commit(lease.fence, JobChange("orders", samples.record(), None)) == 0


def test_f06_a_lease_ends_before_the_session_when_the_line_is_dead(
    zookeeper: Any, proxy: Proxy, eventually: Eventually
) -> None:
    first, second = zookeeper.replica(proxy.address), zookeeper.replica()
    lease = first.lead()
    acted_at: list[float] = []
    done = threading.Event()

    def act() -> None:
        while not done.is_set():
            if lease.may_act():
                acted_at.append(time.monotonic())
            time.sleep(0.005)

    actor = threading.Thread(target=act, daemon=True)
    actor.start()
    proxy.hold("up", "down")
    following = second.lead(timeout=30)
    led_at = time.monotonic()
    done.set()
    actor.join(5)

    assert following.fence.epoch == 2
    assert max(acted_at) < led_at
    assert not lease.may_act()
    proxy.mend()
    eventually(lease.lost)


def test_f05_releasing_while_suspended_does_not_block(zookeeper: Any, proxy: Proxy, eventually: Eventually) -> None:
    replica, second = zookeeper.replica(proxy.address), zookeeper.replica()
    lease = replica.lead()
    proxy.cut()
    eventually(lambda: not lease.may_act())

    began = time.monotonic()
    lease.release()

    assert time.monotonic() - began < 2
    assert second.lead(timeout=30).may_act()


def test_f07_a_contender_whose_creation_was_not_answered_is_recognised(
    zookeeper: Any, proxy: Proxy, eventually: Eventually
) -> None:
    replica = zookeeper.replica(proxy.address)
    found: list[Any] = []
    contending = threading.Thread(target=lambda: found.append(replica.lead(timeout=60)), daemon=True)
    original = replica.election._join

    def join_without_answer(info: Any) -> None:
        proxy.hold("down")
        threading.Timer(0.3, proxy.cut).start()
        threading.Timer(0.8, proxy.mend).start()
        replica.election._join = original
        original(info)

    replica.election._join = join_without_answer
    contending.start()

    lease = eventually(lambda: found and found[0], 40)
    assert lease.may_act()
    assert len(zookeeper.nodes("leader/election")) == 1


def test_f09_a_commit_without_an_answer_is_unavailable_and_reading_back_decides(
    zookeeper: Any, proxy: Proxy, samples: Any, eventually: Eventually
) -> None:
    replica = zookeeper.replica(proxy.address)
    lease = replica.lead()
    replica.store.commit(lease.fence, JobChange("orders", samples.record(), None))
    fenced = replica.store._fenced

    def then_silence(fence: Any) -> Any:
        proxy.hold("down")
        threading.Timer(0.5, proxy.cut).start()
        return fenced(fence)

    replica.store._fenced = then_silence
    with pytest.raises(StoreUnavailable):
        replica.store.commit(lease.fence, JobChange("orders", samples.record(blocked_why="applied"), 0))
    replica.store._fenced = fenced
    proxy.mend()
    eventually(lease.may_act)

    assert replica.store.load_record("orders") == StoredRecord(samples.record(blocked_why="applied"), 1)


def test_f10_a_write_that_is_delivered_after_the_successor_led_is_fenced(zookeeper: Any, samples: Any) -> None:
    first, second = zookeeper.replica(), zookeeper.replica()
    lease = first.lead()
    lease.release()
    second.lead()

    with pytest.raises(Fenced):
        first.store.commit(lease.fence, JobChange("orders", samples.record(), None))
    assert zookeeper.nodes("records") == set()


def test_f11_a_node_of_another_session_does_not_make_a_leader(zookeeper: Any) -> None:
    replica = zookeeper.replica()
    election = replica.election
    election._session = election._session_id()
    foreign = zookeeper.admin.create(f"{zookeeper.layout.election}/{election._id}-", b"", ephemeral=True, sequence=True)

    assert election.acquire(replica.info(), timeout=1.0) is None
    zookeeper.admin.delete(foreign)
    assert replica.lead().may_act()


def test_a_hand_over_takes_less_than_half_a_second(zookeeper: Any, eventually: Eventually) -> None:
    first, second = zookeeper.replica(), zookeeper.replica()
    lease = first.lead()
    led: list[float] = []

    def follow() -> None:
        second.lead()
        led.append(time.monotonic())

    threading.Thread(target=follow, daemon=True).start()
    eventually(lambda: len(zookeeper.nodes("leader/election")) == 2)
    began = time.monotonic()
    lease.release()
    eventually(lambda: led)

    assert led[0] - began < 0.5


def test_a_replica_that_gives_up_waiting_blocks_nobody(zookeeper: Any) -> None:
    first, second, third = zookeeper.replica(), zookeeper.replica(), zookeeper.replica()
    lease = first.lead()
    assert second.election.acquire(second.info(), timeout=0.3) is None
    assert len(zookeeper.nodes("leader/election")) == 1

    lease.release()

    assert third.lead().fence.epoch == 2


def test_stopping_ends_a_wait_at_once(zookeeper: Any, eventually: Eventually) -> None:
    zookeeper.replica().lead()
    waiting = zookeeper.replica()
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(waiting.election.acquire(waiting.info())), daemon=True)
    thread.start()
    eventually(lambda: len(zookeeper.nodes("leader/election")) == 2)

    waiting.election.stop()

    thread.join(2)
    assert ended == [None]


def test_a_deleted_election_node_ends_the_lease(zookeeper: Any, eventually: Eventually) -> None:
    lease = zookeeper.replica().lead()
    for node in zookeeper.nodes("leader/election"):
        zookeeper.admin.delete(f"{zookeeper.layout.election}/{node}")

    eventually(lease.lost, 2)
    assert not lease.may_act()


def test_of_many_contenders_exactly_one_leads_at_a_time(zookeeper: Any, eventually: Eventually) -> None:
    replicas = [zookeeper.replica() for _ in range(4)]
    epochs: list[int] = []
    leading = threading.Semaphore(1)

    def run(replica: Any) -> None:
        lease = replica.lead(timeout=60)
        assert leading.acquire(blocking=False), "two leaders at once"
        epochs.append(lease.fence.epoch)
        leading.release()
        lease.release()

    threads = [threading.Thread(target=run, args=(replica,), daemon=True) for replica in replicas]
    for thread in threads:
        thread.start()
    eventually(lambda: len(epochs) == 4, 30)

    assert epochs == [1, 2, 3, 4]
    for thread in threads:
        thread.join(5)


def test_f15_changes_made_while_disconnected_are_seen_after_reconnecting(
    zookeeper: Any, proxy: Proxy, eventually: Eventually
) -> None:
    store, user = zookeeper.replica(proxy.address).store, zookeeper.replica().store
    user.put_job("orders", b"1")
    announced: list[Any] = []
    store.watch(announced.append)
    store.load_jobs()

    proxy.cut()
    user.put_job("orders", b"2")
    eventually(lambda: _unavailable(store))
    announced.clear()
    proxy.mend()

    eventually(lambda: announced)
    assert eventually(lambda: _data(store)) == b"2"
    announced.clear()
    user.put_job("orders", b"3")
    eventually(lambda: announced)
    assert eventually(lambda: _data(store) == b"3")


def test_f15_watching_survives_the_end_of_the_session(zookeeper: Any, eventually: Eventually) -> None:
    replica, user = zookeeper.replica(), zookeeper.replica().store
    announced: list[Any] = []
    user.put_job("orders", b"1")
    replica.store.watch(announced.append)
    replica.store.load_jobs()
    announced.clear()

    zookeeper.expire(replica)
    eventually(lambda: announced)
    eventually(lambda: _data(replica.store) == b"1")
    announced.clear()
    user.put_job("orders", b"2")

    eventually(lambda: announced)
    assert _data(replica.store) == b"2"


def _unavailable(store: Any) -> bool:
    try:
        store.load_jobs()
    except StoreUnavailable:
        return True
    return False


def _data(store: Any) -> bytes | None:
    with suppress(StoreUnavailable):
        return bytes(store.load_jobs().specs["orders"].data)
    return None


def test_thousands_of_jobs_are_read_pipelined_and_a_change_costs_little(zookeeper: Any) -> None:
    count = 2000
    for start in range(0, count, 500):
        transaction = zookeeper.admin.transaction()
        for number in range(start, start + 500):
            transaction.create(f"{zookeeper.layout.jobs}/job-{number:05}", b"{}")
        transaction.commit()
    store, threads = zookeeper.replica().store, threading.active_count()
    store.watch(lambda _: None)
    began = time.monotonic()
    assert len(store.load_jobs().specs) == count
    full_s = time.monotonic() - began

    zookeeper.admin.set(f"{zookeeper.layout.jobs}/job-00042", b"[]")
    store.sync()
    began = time.monotonic()
    deadline = began + 10
    while store.load_jobs().specs["job-00042"].data != b"[]" and time.monotonic() < deadline:
        pass
    changed_s = time.monotonic() - began

    assert threading.active_count() <= threads + 1
    assert full_s < 10
    assert changed_s < full_s


def test_f54_an_ensemble_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match=f"ZooKeeper at {address} did not answer within 0.5 s"):
            connect(address, session_timeout=1.0, timeout=0.5)


def test_f13_a_chroot_that_does_not_exist_is_named(zookeeper: Any) -> None:
    client = connect(f"{zookeeper.hosts}/nowhere-{time.monotonic_ns()}", session_timeout=4.0)
    try:
        with pytest.raises(StoreError, match="chroot"):
            ZooKeeperStore(client).ensure_layout()
    finally:
        client.stop()
        client.close()


def test_the_granted_session_time_out_bounds_the_lease(zookeeper: Any) -> None:
    client = connect(zookeeper.hosts, session_timeout=3600.0)
    try:
        assert client_module.negotiated_session_s(client, 3600.0) < 3600.0
        election = ZooKeeperElection(client, zookeeper.layout.root, 3600.0)
        lease = election.acquire(zookeeper.replica().info(), timeout=10)
        assert lease is not None
        assert lease.may_act()
        assert lease._believed_s < client_module.negotiated_session_s(client, 3600.0)
        lease.release()
    finally:
        client.stop()
        client.close()


def test_a_tree_that_was_never_set_up_takes_a_users_first_job(zookeeper: Any) -> None:
    root = f"{zookeeper.layout.root}/fresh"
    user = ZooKeeperStore(zookeeper.admin, root)
    assert user.load_jobs().czxid is None

    user.put_job("orders", b"{}")
    user.ensure_layout()

    assert set(user.load_jobs().specs) == {"orders"}


def test_a_chroot_in_the_address_is_a_tree_of_its_own(zookeeper: Any, eventually: Eventually) -> None:
    zookeeper.admin.create(f"{zookeeper.layout.root}/chroot")
    client = connect(f"{zookeeper.hosts}{zookeeper.layout.root}/chroot", session_timeout=4.0)
    try:
        store = ZooKeeperStore(client)
        store.ensure_layout()
        announced: list[Any] = []
        store.watch(announced.append)
        store.put_job("orders", b"1")
        store.load_jobs()
        announced.clear()
        store.put_job("orders", b"2")

        eventually(lambda: announced)
        assert store.load_jobs().specs["orders"].data == b"2"
        assert zookeeper.nodes("jobs") == set()
    finally:
        client.stop()
        client.close()


def test_f02_a_contender_whose_node_vanished_does_not_take_the_lead(zookeeper: Any) -> None:
    replica = zookeeper.replica()
    commit = replica.election._calls.commit

    def after_losing_the_node(what: str, transaction: Any) -> Any:
        replica.election._calls.commit = commit
        for node in zookeeper.nodes("leader/election"):
            zookeeper.admin.delete(f"{zookeeper.layout.election}/{node}")
        return commit(what, transaction)

    replica.election._calls.commit = after_losing_the_node

    lease = replica.lead()

    assert lease.fence.epoch == 1
    assert len(zookeeper.nodes("leader/election")) == 1
    assert lease.may_act()
