"""Readings of the desired tree one after the other, on watches that behave as ZooKeeper's do.

(ZooKeeper Programmer's Guide, "ZooKeeper Watches": a watch fires once, for the data of a node or for its
children; kazoo hands events over on a thread of its own, so they may come after an answer that is newer.)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kazoo.exceptions import NoNodeError

from reconciler.model.events import DesiredTree, RawSpec
from reconciler.model.record import SpecRef
from reconciler.ports import StoreUnavailable
from state.client import Calls, KazooState
from state.desired import READ_AGAIN_PER_S, READ_AGAIN_S, DesiredReader

JOBS = "/weir/jobs"


class Answer:
    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self, timeout: float) -> Any:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


class Ensemble:
    """One tree and one client; events wait until `deliver`."""

    def __init__(self) -> None:
        self.zxid = 1
        self.czxid: int | None = 1
        self.nodes: dict[str, tuple[bytes, SpecRef]] = {}
        self.fail = 0
        self.calls: list[str] = []
        self.state, self.connected, self.client_state = KazooState.CONNECTED, True, "CONNECTED"
        self.handler = SimpleNamespace(timeout_exception=TimeoutError)
        self._data: dict[str, Callable[[Any], None]] = {}
        self._children: Callable[[Any], None] | None = None
        self._events: list[tuple[Callable[[Any], None], str, str]] = []

    def add_listener(self, _: Any) -> None:
        """The connection stands for the whole test."""

    remove_listener = add_listener

    def _fire_data(self, name: str, kind: str) -> None:
        watch = self._data.pop(name, None)
        if watch is not None:
            self._events.append((watch, kind, f"{JOBS}/{name}"))

    def _fire_children(self, kind: str) -> None:
        if self._children is not None:
            self._events.append((self._children, kind, JOBS))
            self._children = None

    def deliver(self, count: int = 1 << 30) -> None:
        events, self._events = self._events[:count], self._events[count:]
        for watch, kind, path in events:
            watch(SimpleNamespace(type=kind, path=path))

    # What users do

    def put(self, name: str, data: bytes) -> None:
        if self.czxid is None:
            self.parent()
        self.zxid += 1
        if name in self.nodes:
            ref = self.nodes[name][1]
            self.nodes[name] = (data, SpecRef(ref.czxid, ref.version + 1))
            self._fire_data(name, "CHANGED")
        else:
            self.nodes[name] = (data, SpecRef(self.zxid, 0))
            self._fire_children("CHILD")

    def delete(self, name: str) -> None:
        if self.nodes.pop(name, None) is not None:
            self._fire_data(name, "DELETED")
            self._fire_children("CHILD")

    def again(self, name: str) -> None:
        self.delete(name)
        self.put(name, b"again")

    def parent(self) -> None:
        """The whole tree is removed, or is created."""
        self.zxid += 1
        for name in list(self.nodes):
            self.delete(name)
        self.czxid = self.zxid if self.czxid is None else None
        self._fire_children("DELETED" if self.czxid is None else "CREATED")

    # What the reader asks

    def _answer(self, value: Any) -> Answer:
        self.fail -= 1
        return Answer(TimeoutError() if self.fail == 0 else value)

    def get_children_async(self, path: str, watch: Any, include_data: bool) -> Answer:
        assert include_data
        self.calls.append(path)
        if self.czxid is None:
            return self._answer(NoNodeError())
        self._children = watch
        return self._answer((list(self.nodes), SimpleNamespace(czxid=self.czxid)))

    def exists_async(self, path: str, watch: Any = None) -> Answer:
        assert path == JOBS
        self._children = watch
        return self._answer(self.czxid)

    def get_async(self, path: str, watch: Any = None) -> Answer:
        self.calls.append(path)
        name = path.rpartition("/")[2]
        if name not in self.nodes:
            return self._answer(NoNodeError())
        self._data[name] = watch
        data, ref = self.nodes[name]
        return self._answer((data, SimpleNamespace(czxid=ref.czxid, version=ref.version)))

    def tree(self) -> DesiredTree:
        if self.czxid is None:
            return DesiredTree(None)
        return DesiredTree(self.czxid, {name: RawSpec(name, ref, data) for name, (data, ref) in self.nodes.items()})


class Follower:
    """Puts one reading on top of the other, as the leader's view does."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.now = 0.0
        self.reader = DesiredReader(Calls(ensemble, 1.0), JOBS, lambda: self.now)  # type: ignore[arg-type]
        self.reader.watch(lambda _: None)
        self.seen = DesiredTree(None)

    def read(self) -> None:
        before = self.seen
        found = self.reader.read(before.reading)
        if found.whole:
            self.seen = found
            return
        assert found.czxid == before.czxid
        for name, raw in found.specs.items():
            assert name not in before.specs or before.specs[name].ref.czxid == raw.ref.czxid
        self.seen = DesiredTree(found.czxid, {**before.specs, **found.specs}, True, found.reading)


names = st.sampled_from("abcd")
actions = st.one_of(
    st.tuples(st.just("put"), names, st.sampled_from([b"1", b"2"])),
    st.tuples(st.just("put"), names, st.sampled_from([b"1", b"2"])),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("again"), names),
    st.tuples(st.just("parent")),
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("read"), st.integers(0, 4)),
)


A1, A2, B1, READ = ("put", "a", b"1"), ("put", "a", b"2"), ("put", "b", b"1"), ("read", 0)


@settings(max_examples=500, deadline=None)
@example([A1, READ, A2, ("deliver", 3), ("read", 1)])  # the watch was armed again, the data never came
@example([A1, B1, READ, A2, ("delete", "b"), ("deliver", 2), ("read", 3)])  # read, but never handed over
@given(st.lists(actions, max_size=30))
def test_readings_put_on_top_of_each_other_are_the_tree(steps: list[Any]) -> None:
    ensemble = Ensemble()
    follower = Follower(ensemble)
    for kind, *arguments in steps:
        if kind != "read":
            getattr(ensemble, kind)(*arguments)
            continue
        ensemble.fail = arguments[0]  # the so-maniest call is not answered
        with suppress(StoreUnavailable):
            follower.read()
        ensemble.fail = 0
    ensemble.deliver()
    follower.read()
    assert follower.seen == ensemble.tree()


def test_an_edit_among_many_costs_one_call() -> None:
    ensemble = Ensemble()
    for number in range(1000):
        ensemble.put(f"job-{number}", b"1")
    follower = Follower(ensemble)
    follower.read()
    ensemble.put("job-7", b"2")
    ensemble.deliver()
    ensemble.calls.clear()
    follower.read()
    assert ensemble.calls == [f"{JOBS}/job-7"]
    assert follower.seen == ensemble.tree()


def test_f15_what_a_lost_watch_kept_quiet_is_read_after_a_minute() -> None:
    ensemble = Ensemble()
    ensemble.put("orders", b"1")
    follower = Follower(ensemble)
    follower.read()
    ensemble.put("orders", b"2")  # and its event never comes
    follower.read()
    assert follower.seen != ensemble.tree()
    follower.now += READ_AGAIN_S
    follower.read()
    assert follower.seen == ensemble.tree()


def test_f15_of_many_a_part_is_read_again_at_a_time_and_all_of_them_in_turn() -> None:
    ensemble = Ensemble()
    share = int(READ_AGAIN_S * READ_AGAIN_PER_S)
    names = [f"job-{number:05d}" for number in range(2 * share + 100)]
    for name in names:
        ensemble.put(name, b"1")
    follower = Follower(ensemble)
    follower.read()
    for name in (names[0], names[-1]):
        ensemble.put(name, b"2")  # and their events never come
    costs = []
    for _ in range(3):
        ensemble.calls.clear()
        follower.now += READ_AGAIN_S
        follower.read()
        costs.append(sum(call.startswith(f"{JOBS}/") for call in ensemble.calls))
    assert costs == [share, share, share]
    assert follower.seen == ensemble.tree()


@pytest.mark.parametrize("number", [0, 77])
def test_a_reading_that_was_not_the_last_one_is_answered_with_the_whole_tree(number: int) -> None:
    ensemble = Ensemble()
    ensemble.put("orders", b"1")
    follower = Follower(ensemble)
    follower.read()
    assert follower.reader.read(number).whole
