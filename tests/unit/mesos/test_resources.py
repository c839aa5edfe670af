"""Taking a task's resources out of offers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.mesos.config import MesosConfig
from integration.mesos.convert import attribute_text, to_offer
from integration.mesos.errors import MesosConfigError
from integration.mesos.offers import OfferBook
from integration.mesos.resources import ResourcePool, holds_ports, merge_ranges, subtract_ports

amounts = st.integers(min_value=1, max_value=64_000).map(lambda n: n / 1000)
ranges = st.lists(st.tuples(st.integers(1000, 1100), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1])), max_size=6)


@given(st.lists(amounts, min_size=1, max_size=6), st.lists(amounts, min_size=1, max_size=8))
def test_scalars_are_split_over_entries_and_never_overdrawn(entries, wants):
    pool = ResourcePool([{"name": "cpus", "scalar": {"value": v}} for v in entries], ("*",))
    left = round(sum(entries) * 1000)
    for want in wants:
        taken = pool.take(want, 0.0)
        if round(want * 1000) > left:
            assert taken is None
        else:
            assert taken is not None
            assert sum(round(r["scalar"]["value"] * 1000) for r in taken) == round(want * 1000)
            left -= round(want * 1000)
    assert round(pool.total("cpus") * 1000) == left


@given(ranges, st.sets(st.integers(995, 1120), max_size=6))
def test_ports_arithmetic_agrees_with_sets(some, ports):
    plain = {port for begin, end in some for port in range(begin, end + 1)}
    merged = merge_ranges(some)
    assert {p for b, e in merged for p in range(b, e + 1)} == plain
    assert all(left[1] + 1 < right[0] for left, right in pairwise(merged))
    assert holds_ports(merged, ports) == ports.issubset(plain)
    assert {p for b, e in subtract_ports(merged, ports) for p in range(b, e + 1)} == plain - ports


def test_a_port_is_taken_once(kit):
    pool = ResourcePool([kit.ports(1, 3), kit.ports(10, 12)], ("*",))
    taken = pool.take(0.0, 0.0, ports=(2, 11))
    assert [r["ranges"]["range"] for r in taken] == [[{"begin": 2, "end": 2}], [{"begin": 11, "end": 11}]]
    assert pool.take(0.0, 0.0, ports=(11,)) is None
    assert pool.ports() == ((1, 1), (3, 3), (10, 10), (12, 12))
    assert pool.take(0.0, 0.0, ports=(1, 1)) is None


def test_a_failed_take_takes_nothing(kit):
    pool = ResourcePool([kit.scalar("cpus", 2.0), kit.scalar("mem", 10.0)], ("*",))
    assert pool.take(1.0, 11.0) is None
    assert pool.total("cpus") == 2.0


def test_f37_only_what_is_ours_is_used(kit):
    resources = [
        kit.scalar("cpus", 1.0),
        kit.scalar("cpus", 2.0, reservations=[{"type": "STATIC", "role": "flink"}]),
        kit.scalar("cpus", 4.0) | {"role": "flink"},
        kit.scalar("cpus", 8.0, reservations=[{"type": "DYNAMIC", "role": "spark"}]),
        kit.scalar("cpus", 16.0) | {"role": "spark"},
        kit.scalar("cpus", 32.0, revocable={}),
        kit.scalar("cpus", 64.0, reservations=[{"role": "flink"}, {"role": "flink/other"}]),
        kit.scalar("disk", 100.0, disk={"source": {"type": "MOUNT"}}),
        kit.scalar("disk", 200.0, shared={}),
        kit.scalar("disk", 300.0),
        kit.scalar("disk", 400.0, provider_id={"value": "p"}),
    ]
    pool = ResourcePool(resources, ("flink",))
    assert pool.total("cpus") == 7.0
    assert pool.total("disk") == 300.0


def test_reserved_resources_go_first_and_keep_their_reservation(kit):
    reservation = [{"type": "STATIC", "role": "flink"}]
    pool = ResourcePool([kit.scalar("cpus", 4.0), kit.scalar("cpus", 1.0, reservations=reservation)], ("flink",))
    first, second = pool.take(1.5, 0.0)
    assert (first["scalar"]["value"], first["reservations"]) == (1.0, reservation)
    assert second["scalar"]["value"] == 0.5
    assert "reservations" not in second


def test_a_reservation_of_a_parent_role_may_be_used(kit):
    pool = ResourcePool([kit.scalar("cpus", 1.0, reservations=[{"role": "eng"}])], ("eng/flink",))
    assert pool.total("cpus") == 1.0


def test_an_offer_becomes_a_value_with_totals_of_usable_resources(kit):
    raw = kit.offer(
        "o1",
        unavailability={"start": {"nanoseconds": 1_700_000_000_500_000_000}},
        attributes=[
            {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
            {"name": "level", "type": "SCALAR", "scalar": {"value": 3.0}},
        ],
    )
    raw["resources"].append(kit.scalar("cpus", 9.0, revocable={}))
    offer = to_offer(raw, ("*",))
    assert (offer.cpus, offer.mem_mb, offer.ports) == (4.0, 4096.0, ((31000, 31099),))
    assert offer.address == "10.0.0.1"
    assert offer.attributes == {"rack": "r1", "level": "3"}
    assert offer.unavailable_from == 1_700_000_000.5


def test_an_offer_without_an_address_has_its_hostname(kit):
    raw = kit.offer("o1")
    del raw["url"]
    assert to_offer(raw, ("*",)).address == "a1.example"


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ({"text": {"value": "x"}}, "x"),
        ({"scalar": {"value": 1.5}}, "1.5"),
        ({"ranges": {"range": [{"begin": 1, "end": 2}, {"begin": 5, "end": 6}]}}, "[1-2, 5-6]"),
        ({"set": {"item": ["b", "a"]}}, "{a, b}"),
        ({}, ""),
    ],
)
def test_attributes_read_as_mesos_writes_them(attribute, text):
    assert attribute_text(attribute) == text


def test_the_offer_book_is_bounded(kit):
    book = OfferBook(limit=2)
    assert book.add([kit.offer("o1"), kit.offer("o2"), kit.offer("o3")]) == ["o1"]
    assert book.peek(["o1", "o3"])[1] == ["o1"]
    assert len(book) == 2


def test_f24_a_short_failover_timeout_is_refused_with_what_to_set():
    with pytest.raises(MesosConfigError, match="at least 604800 s"):
        MesosConfig(user="x", failover_timeout_s=3600.0)


@pytest.mark.parametrize("bad", [{"user": ""}, {"roles": ()}, {"secret": "s"}, {"missed_heartbeats": 0}])
def test_settings_that_cannot_work_are_refused(bad):
    with pytest.raises(MesosConfigError):
        MesosConfig(**({"user": "x"} | bad))


def test_the_secret_is_not_shown():
    assert "hunter2" not in repr(MesosConfig(user="x", principal="p", secret="hunter2"))
