"""An incremental view of the desired tree is the full view, whatever users and records do in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.control import Control
from reconciler.desired import DesiredView
from reconciler.jobs import JobEntry, Pending
from reconciler.model.decision import Desired
from reconciler.model.events import DesiredLoaded, Event, ParsedSpec, RawSpec
from reconciler.model.operator import HeldJob, OperatorRecord
from reconciler.model.record import Lifecycle, Record, SpecRef
from reconciler.model.spec_parse import SpecLimits, parse_spec
from reconciler.ports import Fence
from state.memory import MemoryStore, MemoryTree
from tests.unit.loop.bench import World, started

VALID = parse_spec(
    "orders",
    b'{"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///srv/job.py"}}',
    SpecLimits(flink_versions=frozenset({"2.2"})),
)
NAMES = [f"job-{number}" for number in range(7)]


@dataclass
class Eye:
    """One leader's view; `whole`: every reading of it is."""

    tree: MemoryTree
    whole: bool
    files: set[bytes]
    jobs: dict[str, JobEntry] = field(default_factory=dict)
    partial: int = 0

    def __post_init__(self) -> None:
        store = MemoryStore(self.tree)
        store.watch(lambda _: None)
        self._calls: list[Any] = []
        self.control = Control(store, Fence(1, 1), self._submit)
        self.view = DesiredView(store, self._parse, self._submit, self.control)

    def _submit(self, lane: str, call: Any) -> None:
        self._calls.append(call)

    def _parse(self, raw: RawSpec) -> ParsedSpec:
        """As admission does: bytes are refused as long as the file that they name is missing."""
        return ParsedSpec(raw.ref, VALID) if raw.data in self.files else ParsedSpec(raw.ref, None, "refused")

    def look(self) -> set[str]:
        """Read until nothing more is to be read; the jobs that were touched."""
        touched = set()
        self.view.read(whole=self.whole)
        while self._calls:
            event: Event = self._calls.pop()()
            assert isinstance(event, DesiredLoaded)
            assert event.tree is not None
            self.partial += not event.tree.whole
            mine = self.view.take(event, self.jobs)
            touched |= mine | self.control.take(event.control, self.jobs)
            touched |= self.control.apply(self.jobs, None if event.tree.whole else mine)
        return touched

    def known(self) -> dict[str, tuple[Desired, object, int, int | None, int | None]]:
        return {
            name: (entry.desired(), entry.raw, entry.recreated, entry.vanished, entry.adopted)
            for name, entry in self.jobs.items()
        }


class Pair:
    """Two leaders over one tree, in step."""

    def __init__(self) -> None:
        self.tree = MemoryTree()
        self.files = {b"1", b"2"}
        self.eyes = [Eye(self.tree, False, self.files), Eye(self.tree, True, self.files)]
        self.hidden: Any = None

    def look(self) -> None:
        quick, full = (eye.look() for eye in self.eyes)
        assert quick == full
        assert self.eyes[0].known() == self.eyes[1].known()

    # What users do

    def put(self, name: str, data: bytes) -> None:
        if self.tree.jobs is not None:
            self.tree.put(self.tree.jobs, name, data)

    def delete(self, names: list[str]) -> None:
        for name in names:
            if self.tree.jobs is not None and self.tree.jobs.pop(name, None) is not None:
                self.tree.changed()

    def recreate(self, names: list[str]) -> None:
        there = [name for name in names if name in (self.tree.jobs or {})]
        self.delete(there)
        for name in there:
            self.put(name, b"1")

    def hide(self) -> None:
        if self.tree.jobs is not None:
            self.hidden = self.tree.jobs
            self.tree.delete_jobs_node()

    def show(self, anew: bool) -> None:
        if self.tree.jobs is None and anew:
            self.tree.create_jobs_node()
        elif self.tree.jobs is None:
            self.tree.jobs = self.hidden
            self.tree.changed()

    def ship(self) -> None:
        """A file that was missing is there now, so that what names it is valid."""
        self.files ^= {b"3"}

    # What the leader does

    def record(self, name: str, how: str) -> None:
        for eye in self.eyes:
            entry = eye.jobs.get(name)
            if entry is not None:
                _record(entry, how)
                if entry.raw is None and entry.record is None and entry.pending is None:
                    del eye.jobs[name]

    def confirm(self, yes: bool) -> None:
        for eye in self.eyes:
            held = tuple(
                HeldJob(name, entry.vanished, confirmed=yes)
                for name, entry in eye.jobs.items()
                if entry.vanished is not None and entry.live
            )
            eye.control.record = OperatorRecord(held=held)
            eye.control.apply(eye.jobs)


def _record(entry: JobEntry, how: str) -> None:
    seen = entry.raw.ref if entry.raw is not None else None
    if how == "persisted" and seen is not None:
        entry.record, entry.pending = Record(entry.name, f"uid-{seen.czxid}", seen), None
    elif how == "on its way" and seen is not None and entry.record is None:
        entry.pending = Pending(1, Record(entry.name, f"uid-{seen.czxid}", seen), (), (), (), None)
    elif how == "found" and seen is not None and entry.life is None:
        entry.record = Record(entry.name, "an older one", SpecRef(1, 0))  # a person put it back
    elif how == "ends" and entry.record is not None:
        entry.record = replace(entry.record, lifecycle=Lifecycle.DELETED)
    elif how == "forgotten":
        entry.record = entry.pending = None


names = st.sampled_from(NAMES)
records = st.sampled_from(["persisted", "persisted", "on its way", "ends", "forgotten", "found"])
several = st.lists(names, min_size=1, max_size=7, unique=True)
actions = st.one_of(
    st.tuples(st.just("put"), names, st.sampled_from([b"1", b"2", b"3"])),
    st.tuples(st.just("put"), names, st.sampled_from([b"1", b"2", b"3"])),
    st.tuples(
        st.just("record"),
        names,
        st.sampled_from(["persisted", "persisted", "on its way", "ends", "forgotten", "found"]),
    ),
    st.tuples(st.just("delete"), several),
    st.tuples(st.just("recreate"), several),
    st.tuples(st.just("hide")),
    st.tuples(st.just("show"), st.booleans()),
    st.tuples(st.just("ship")),
    st.tuples(st.just("confirm"), st.booleans()),
    st.tuples(st.just("look")),
    st.tuples(st.just("look")),
    st.tuples(st.just("look")),
)


EDIT, LOOK = ("put", NAMES[6], b"2"), ("look",)


@settings(max_examples=300, deadline=None)
@example(  # deleted one after the other, and put back all at once
    [("delete", NAMES[:3]), LOOK, ("delete", NAMES[3:5]), LOOK, *(("put", name, b"1") for name in NAMES[:5]), LOOK], 7
)
@example([("delete", NAMES[:5]), LOOK, ("record", NAMES[0], "ends"), EDIT, LOOK], 7)  # ended while its loss is held
@example([("record", NAMES[0], "forgotten"), LOOK, EDIT, LOOK, ("record", NAMES[0], "found"), EDIT, LOOK], 7)
@given(st.lists(actions, max_size=40), st.integers(0, len(NAMES)))
def test_after_any_sequence_of_edits_the_incremental_view_is_the_full_view(steps: list[Any], running: int) -> None:
    pair = Pair()
    for name in NAMES[:running]:
        pair.put(name, b"1")
    pair.look()
    for name in NAMES[:running]:
        pair.record(name, "persisted")
    for step in steps:
        getattr(pair, step[0])(*step[1:])
    pair.look()


def test_an_edit_and_a_new_name_are_read_without_the_others() -> None:
    pair = Pair()
    for name in NAMES[:5]:
        pair.put(name, b"1")
    pair.look()
    for name in NAMES[:5]:
        pair.record(name, "persisted")
    pair.put(NAMES[0], b"2")
    pair.put(NAMES[6], b"1")
    pair.look()
    assert pair.eyes[0].partial == 1


def test_f15_an_edit_whose_watch_was_lost_is_seen_by_the_resync() -> None:
    world = World()
    leader = started(world)
    leader.session.lose_watch_events = True
    world.apply(taskManager={"replicas": 3})
    leader.let_pass(60)
    assert len(world.running()) == 4


def test_f51_a_job_that_was_created_again_while_another_is_edited_begins_another_life() -> None:
    world = World()
    leader = started(world)
    world.apply("payments")
    leader.let_pass(60)
    uid = world.record().uid
    world.users.delete_job("orders")
    world.apply("payments", taskManager={"replicas": 2})
    world.apply()
    leader.let_pass(120)
    assert world.record().uid != uid
    assert world.record("payments").lifecycle is Lifecycle.STABLE


def test_f14_after_a_reading_that_failed_nothing_of_it_is_missing() -> None:
    world = World()
    leader = started(world)
    leader.session.fail_next(1, call="load_control")
    world.apply(taskManager={"replicas": 3})
    leader.settle()
    world.apply("payments")
    leader.settle()
    leader.let_pass(20)
    assert len([task for task in world.running() if task.startswith("orders")]) == 4


def test_the_desired_state_of_an_unknown_job_is_its_node() -> None:
    pair = Pair()
    pair.put("orders", b"1")
    pair.look()
    assert pair.eyes[0].jobs["orders"].desired().ref == SpecRef(pair.tree.jobs["orders"].czxid, 0)  # type: ignore[index]
