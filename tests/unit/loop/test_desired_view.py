"""What one reading of the desired tree after the other is taken for; no loop, no ports."""

from __future__ import annotations

from reconciler.control import Control
from reconciler.desired import DesiredView
from reconciler.jobs import JobEntry, Pending
from reconciler.model.events import DesiredLoaded, DesiredTree, ParsedSpec, RawSpec
from reconciler.model.record import Record, SpecRef
from reconciler.ports import Fence
from state.memory import MemoryStore, MemoryTree

PARENT = 2
MISSING = DesiredTree(None)


def tree(czxid: int | None, parent: int = PARENT) -> DesiredTree:
    """One job, `orders`, whose node was created in transaction `czxid`; None: it is not there."""
    nodes = {"orders": RawSpec("orders", SpecRef(czxid, 0), b"{}")} if czxid is not None else {}
    return DesiredTree(parent, nodes)


def after(*views: DesiredTree, on_its_way: bool = False) -> JobEntry:
    """A job whose record, persisted or on its way, has seen the node of transaction 10, after these views."""
    store = MemoryStore(MemoryTree())

    def submit(lane: str, call: object) -> None:
        """Nothing is read here."""

    view = DesiredView(store, lambda raw: ParsedSpec(raw.ref, None), submit, Control(store, Fence(1, 1), submit))
    record = Record("orders", "uid", SpecRef(10, 0))
    entry = JobEntry("orders", record=None if on_its_way else record)
    entry.pending = Pending(1, record, (), (), (), None) if on_its_way else None
    jobs = {"orders": entry}
    for each in (tree(10), *views):
        parsed = {name: ParsedSpec(raw.ref, None) for name, raw in each.specs.items()}
        view.take(DesiredLoaded(each, parsed), jobs)
    entry.record, entry.pending = record, None
    return jobs["orders"]


def ends(entry: JobEntry) -> bool:
    """Whether this life of the job is over."""
    desired = entry.desired()
    return not desired.present or (desired.ref is not None and desired.ref.czxid != 10 and not desired.adopt)


def test_f51_a_node_that_was_created_again_is_another_life() -> None:
    assert ends(after(tree(20)))


def test_f51_a_recreation_that_was_seen_is_not_forgotten_when_the_tree_vanishes() -> None:
    assert ends(after(tree(20), MISSING))
    assert ends(after(tree(20), MISSING, tree(20)))
    assert ends(after(tree(20), MISSING, tree(31, parent=30)))


def test_f51_a_node_that_was_created_again_while_the_tree_was_out_of_view_is_another_life() -> None:
    assert ends(after(MISSING, tree(20)))


def test_f13_a_vanished_tree_ends_nothing() -> None:
    assert not ends(after(MISSING))


def test_f13_a_tree_that_is_new_and_empty_ends_nothing() -> None:
    assert not ends(after(tree(None, parent=30)))


def test_f13_a_tree_that_vanishes_while_the_first_record_is_on_its_way_ends_nothing() -> None:
    assert not ends(after(MISSING, on_its_way=True))
    assert ends(after(tree(20), MISSING, on_its_way=True))


def test_f13_a_node_that_is_put_back_into_a_new_tree_is_the_same_life() -> None:
    assert not ends(after(MISSING, tree(31, parent=30)))
    assert not ends(after(MISSING, tree(None, parent=30), tree(31, parent=30)))


def test_f13_a_node_that_is_put_back_into_a_rebuilt_ensemble_is_the_same_life() -> None:
    assert not ends(after(tree(5, parent=1)))
