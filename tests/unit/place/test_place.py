"""Matching requests with offers: properties that hold for every pass, order, and the sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.resources import Candidate, Offer, TaskRequest
from reconciler.place import LEAD_S, Placement, place
from tests.unit.place.worlds import JM, STRATEGIES, TM, offer, request, sibling

thousandths = st.integers(0, 4000).map(lambda value: value / 1000)
RACK_OF = {"a0": "r1", "a1": "r1", "a2": "r2", "a3": None}
RAW: list[list[list[str]]] = [
    [],
    [["hostname", "UNIQUE"]],
    [["rack", "MAX_PER", "2"]],
    [["rack", "CLUSTER"]],
    [["rack", "GROUP_BY", "2"]],
    [["hostname", "UNIQUE"], ["rack", "UNLIKE", "r3"]],
    [["rack", "IS", "r2"]],
]


@st.composite
def offers_drawn(draw: st.DrawFn) -> list[Offer]:
    """Several offers per agent, with ranges of ports that do not overlap between offers."""
    found = []
    for agent in range(draw(st.integers(1, 4))):
        rack = RACK_OF[f"a{agent}"]
        for part in range(draw(st.integers(1, 3))):
            begin = 31000 + part * 100
            found.append(
                offer(
                    f"a{agent}", draw(thousandths), draw(st.integers(0, 4096)), id=f"o-{agent}-{part}",
                    ports=tuple((begin + n * 10, begin + n * 10 + draw(st.integers(0, 5))) for n in range(2)),
                    attributes={"rack": rack} if rack else {}, role=draw(st.sampled_from(("*", "flink"))),
                    disk_mb=float(draw(st.integers(0, 100))),
                )
            )  # fmt: skip
    return found


@st.composite
def requests_drawn(draw: st.DrawFn) -> list[TaskRequest]:
    found = []
    for job in ("billing", "orders")[: draw(st.integers(1, 2))]:
        raw = draw(st.sampled_from(RAW))
        hosts = draw(st.lists(st.sampled_from(sorted(RACK_OF)), max_size=2))
        before = tuple(sibling(host, **({"rack": rack} if (rack := RACK_OF[host]) else {})) for host in hosts)
        found += [
            request(
                index, draw(st.integers(1, 2000)) / 1000, draw(st.integers(1, 2048)), job=job,
                role=JM if index == 0 else TM, ports=draw(st.integers(0, 3)),
                constraints=tuple(tuple(each) for each in raw), siblings=before,
                strategy=draw(st.sampled_from(("spread", "pack", "broken", "missing"))),
                mesos_role=draw(st.sampled_from(("*", "flink"))), disk_mb=float(draw(st.integers(0, 50))),
            )
            for index in range(draw(st.integers(1, 5)))
        ]  # fmt: skip
    return found


class Broken:
    """Answers whatever it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def rank(self, request: TaskRequest, candidate: Candidate) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


ALL = {**STRATEGIES, "broken": Broken(ValueError("no"))}


def run(wanted: Sequence[TaskRequest], offered: Sequence[Offer], now: float = 0.0) -> Placement:
    return place(wanted, offered, ALL, now)


@settings(max_examples=200, deadline=None)
@given(requests_drawn(), offers_drawn())
def test_no_agent_is_given_more_than_it_offered(wanted: list[TaskRequest], offered: list[Offer]) -> None:
    outcome = run(wanted, offered)

    by_ids = {each.id: each for each in offered}
    spent: dict[tuple[str, ...], Counter[str]] = {}
    for assignment in outcome.assignments:
        used = spent.setdefault(assignment.offer_ids, Counter())
        for name in ("cpus", "mem_mb", "disk_mb", "gpus"):
            used[name] += round(getattr(assignment.request, name) * 1000)
    for offer_ids, used in spent.items():
        for name, amount in used.items():
            assert amount <= sum(round(getattr(by_ids[i], name) * 1000) for i in offer_ids), name


@settings(max_examples=200, deadline=None)
@given(requests_drawn(), offers_drawn())
def test_every_port_was_offered_and_is_given_once(wanted: list[TaskRequest], offered: list[Offer]) -> None:
    outcome = run(wanted, offered)

    by_ids = {each.id: each for each in offered}
    taken: Counter[tuple[str, int]] = Counter()
    for assignment in outcome.assignments:
        assert len(assignment.ports) == assignment.request.ports
        ranges = [part for i in assignment.offer_ids for part in by_ids[i].ports]
        assert all(any(begin <= port <= end for begin, end in ranges) for port in assignment.ports)
        # Two roles of one agent have offers of their own; a real agent's ports are in one of them only.
        taken.update((assignment.offer_ids[0], port) for port in assignment.ports)
    assert all(count == 1 for count in taken.values())


@settings(max_examples=200, deadline=None)
@given(requests_drawn(), offers_drawn())
def test_every_request_is_assigned_or_explained(wanted: list[TaskRequest], offered: list[Offer]) -> None:
    outcome = run(wanted, offered)

    assigned = [assignment.request.task_name for assignment in outcome.assignments]
    assert sorted([*assigned, *outcome.waiting]) == sorted(each.task_name for each in wanted)
    assert all(reason and "\n" not in reason and len(reason) < 1000 for reason in outcome.waiting.values())


@settings(max_examples=200, deadline=None)
@given(requests_drawn(), offers_drawn(), st.randoms(use_true_random=False))
def test_the_order_in_which_offers_came_decides_nothing(
    wanted: list[TaskRequest], offered: list[Offer], random: Any
) -> None:
    def told(outcome: Placement) -> Any:
        agents = [(a.request.task_name, a.agent_id, sorted(a.offer_ids), a.ports) for a in outcome.assignments]
        return agents, outcome.waiting, outcome.problems

    shuffled = list(offered)
    random.shuffle(shuffled)

    assert told(run(wanted, shuffled)) == told(run(wanted, offered))


@settings(max_examples=300, deadline=None)
@given(requests_drawn(), offers_drawn())
def test_constraints_hold_for_every_assignment(wanted: list[TaskRequest], offered: list[Offer]) -> None:
    outcome = run(wanted, offered)

    for job in {each.job for each in wanted}:
        for role in (JM, TM):
            here = [a for a in outcome.assignments if (a.request.job, a.request.role) == (job, role)]
            if not here:
                continue
            hosts = [each.hostname for each in here[0].request.siblings if each.role is role]
            for assignment in here:
                racks = [RACK_OF[host] for host in hosts]
                raw = assignment.request.constraints
                _check(raw, assignment.hostname, RACK_OF[assignment.hostname], hosts, racks)
                hosts.append(assignment.hostname)


def _check(
    raw: Sequence[Sequence[str]], host: str, rack: str | None, hosts: list[str], racks: list[str | None]
) -> None:
    """The operators again, written in another way."""
    known = [each for each in racks if each is not None]
    for field, operator, *value in raw:
        if operator == "UNLIKE":
            assert rack not in value
        elif (field, operator) == ("hostname", "UNIQUE"):
            assert host not in hosts
        else:
            assert rack is not None
        if operator == "MAX_PER":
            assert known.count(str(rack)) < int(value[0])
        elif operator == "CLUSTER":
            assert set(known) <= {rack}
        elif operator == "IS":
            assert rack == value[0]
        elif operator == "GROUP_BY":
            again = str(rack) in known
            assert not again or (len(set(known)) >= 2 and known.count(str(rack)) == min(Counter(known).values()))


# Strategies


def test_spread_takes_every_agent_before_one_twice() -> None:
    outcome = run([request(n) for n in range(4)], [offer("a1"), offer("a2", 16.0), offer("a3")])

    assert Counter(a.agent_id for a in outcome.assignments) == {"a2": 2, "a1": 1, "a3": 1}


def test_pack_fills_the_fullest_agent_first() -> None:
    outcome = run([request(n, strategy="pack") for n in range(3)], [offer("a1", 8.0), offer("a2", 2.0), offer("a3")])

    assert [a.agent_id for a in outcome.assignments] == ["a2", "a2", "a3"]


def test_spread_sees_tasks_that_were_placed_before() -> None:
    outcome = run([request(2, siblings=(sibling("a1"),))], [offer("a1", 16.0), offer("a2", 2.0)])

    assert outcome.assignments[0].agent_id == "a2"


def test_an_agent_on_which_the_job_failed_is_the_last_choice() -> None:
    avoiding = request(avoid=frozenset({"a1"}))

    assert run([avoiding], [offer("a1", 16.0), offer("a2", 1.0)]).assignments[0].agent_id == "a2"
    assert run([avoiding], [offer("a1")]).assignments[0].agent_id == "a1"


@pytest.mark.parametrize(
    "answer",
    [None, float("nan"), [float("inf")], "high", ["high"], [None], {1: 2}, [10**400], range(99), b"ab",
     ValueError("no"), RecursionError(), SystemExit(3)],
    ids=repr,
)  # fmt: skip
def test_f57_a_strategy_that_answers_nonsense_is_replaced_by_spreading(answer: Any) -> None:
    wanted = [request(n, strategy="broken") for n in range(2)]

    outcome = place(wanted, [offer("a1"), offer("a2")], {"broken": Broken(answer)})

    assert {a.agent_id for a in outcome.assignments} == {"a1", "a2"}
    assert "placement strategy broken" in outcome.problems["orders"]
    assert "spreading" in outcome.problems["orders"]


def test_f57_a_strategy_that_is_gone_is_replaced_by_spreading() -> None:
    outcome = place([request(strategy="gone")], [offer("a1")], {})

    assert len(outcome.assignments) == 1
    assert "gone is not installed" in outcome.problems["orders"]


# Offers


def test_offers_of_one_agent_are_added_up() -> None:
    outcome = run([request(cpus=3.0)], [offer("a1", 2.0, id="o1"), offer("a1", 1.0, id="o2", ports=((32000, 32001),))])

    assert outcome.assignments[0].offer_ids == ("o1", "o2")


def test_offers_of_two_roles_are_not_added_up() -> None:
    outcome = run([request(cpus=3.0)], [offer("a1", 2.0, id="o1"), offer("a1", 2.0, id="o2", role="flink")])

    assert outcome.assignments == ()


def test_a_role_takes_only_its_own_offers() -> None:
    wanted = request(mesos_role="flink")

    assert run([wanted], [offer("a1")]).waiting[wanted.task_name].endswith("no offer has arrived for role flink")
    assert run([wanted], [offer("a1", role="flink")]).assignments


@pytest.mark.parametrize(("start", "placed"), [(900.0, False), (1000.0 + LEAD_S, False), (1001.0 + LEAD_S, True)])
def test_f37_an_agent_that_is_about_to_be_taken_down_gets_no_task(start: float, placed: bool) -> None:
    outcome = run([request()], [offer("a1", unavailable_from=start)], now=1000.0)

    assert bool(outcome.assignments) is placed
    assert placed or "maintenance refuses a1" in next(iter(outcome.waiting.values()))


def test_f37_an_agent_with_maintenance_ahead_is_the_last_choice() -> None:
    outcome = run([request()], [offer("a1", 64.0, unavailable_from=9e9), offer("a2", 1.0)])

    assert outcome.assignments[0].agent_id == "a2"


def test_many_small_tasks_do_not_add_up_to_more_than_was_offered() -> None:
    outcome = run([request(n, cpus=0.1, mem_mb=1, ports=0) for n in range(40)], [offer("a1", 3.0)])

    assert len(outcome.assignments) == 30


def test_amounts_are_rounded_as_mesos_rounds_them_before_they_are_added_up() -> None:
    outcome = run([request(n, cpus=0.3335, ports=0) for n in range(2)], [offer("a1", 0.667)])

    assert len(outcome.assignments) == 1


def test_attributes_that_constraints_name_go_with_the_assignment() -> None:
    wanted = request(constraints=(("rack", "UNIQUE"), ("hostname", "UNIQUE")))

    outcome = run([wanted], [offer("a1", attributes={"rack": "r1", "disk": "ssd"})])

    assert outcome.assignments[0].attributes == {"rack": "r1"}


def test_a_sibling_without_remembered_attributes_is_known_by_the_offer_of_its_agent() -> None:
    wanted = request(1, constraints=(("rack", "UNIQUE"),), siblings=(sibling("a1"),))
    racks = {"a1": "r1", "a2": "r1", "a3": "r2"}

    outcome = run([wanted], [offer(agent, attributes={"rack": rack}) for agent, rack in racks.items()])

    assert outcome.assignments[0].agent_id == "a3"


def test_a_jobmanager_and_a_taskmanager_may_share_a_unique_host() -> None:
    unique = (("hostname", "UNIQUE"),)

    outcome = run([request(0, role=JM, constraints=unique), request(0, constraints=unique)], [offer("a1")])

    assert [a.agent_id for a in outcome.assignments] == ["a1", "a1"]


# Sentences

UNIQUE = (("hostname", "UNIQUE"),)
WHY: list[tuple[TaskRequest, list[Offer], str]] = [
    (request(cpus=4.0), [], "needs 4 cpus, 1024 MiB and 2 ports; no offer has arrived"),
    (request(cpus=4.0), [offer("a1", 1.0), offer("a3", 2.0)],
     "needs 4 cpus, 1024 MiB and 2 ports; best offer has 2 cpus on a3"),
    (request(mem_mb=9000), [offer("a1")], "needs 1 cpus, 9000 MiB and 2 ports; best offer has 8192 MiB on a1"),
    (request(ports=3), [offer("a1", ports=((1, 2),))],
     "needs 1 cpus, 1024 MiB and 3 ports; best offer has 2 ports on a1"),
    (request(gpus=1.0), [offer("a1")], "needs 1 cpus, 1024 MiB, 2 ports and 1 gpus; best offer has 0 gpus on a1"),
    (request(disk_mb=10.0), [offer("a1")],
     "needs 1 cpus, 1024 MiB, 2 ports and 10 MiB of disk; best offer has 0 MiB of disk on a1"),
    (request(cpus=4.0, mem_mb=4096), [offer("a1", 8.0, 1024), offer("a2", 1.0, 8192)],
     "needs 4 cpus, 4096 MiB and 2 ports; no single agent has all of it, a1 has 8 cpus and 1024 MiB"),
    (request(constraints=UNIQUE, siblings=(sibling("a1"), sibling("a2"))), [offer("a1"), offer("a2")],
     "needs 1 cpus, 1024 MiB and 2 ports; constraint hostname UNIQUE refuses a1 and a2 (1 placed already)"),
    (request(constraints=(("rack", "GROUP_BY", "2"),), siblings=(sibling("a1", rack="r1"),)),
     [offer("a1", attributes={"rack": "r1"})],
     "needs 1 cpus, 1024 MiB and 2 ports; constraint rack GROUP_BY 2 refuses a1 (1 placed in r1, 1 of 2 groups used)"),
    (request(cpus=4.0, constraints=(("rack", "IS", "r1"),)),
     [offer("a1", 8.0), offer("a2", 8.0, attributes={"rack": "r2"}), offer("a3", 2.0, attributes={"rack": "r1"})],
     ("needs 4 cpus, 1024 MiB and 2 ports; constraint rack IS r1 refuses a1 (no rack), a2 (rack is r2); "
      "a3 is allowed, but has 2 cpus")),
    (request(cpus=8.0, constraints=UNIQUE, siblings=(sibling("a1"),)), [offer("a1")],
     ("needs 8 cpus, 1024 MiB and 2 ports; constraint hostname UNIQUE refuses a1 (1 placed already); "
      "best offer has 4 cpus on a1")),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "offered", "sentence"), WHY)
def test_why_a_task_is_not_placed_is_one_sentence_with_numbers(
    wanted: TaskRequest, offered: list[Offer], sentence: str
) -> None:
    assert run([wanted], offered).waiting[wanted.task_name] == sentence


def test_a_sentence_names_few_agents() -> None:
    wanted = request(constraints=(("rack", "IS", "r1"),))

    said = run([wanted], [offer(f"a{n:02}") for n in range(40)]).waiting[wanted.task_name]

    assert said.endswith("constraint rack IS r1 refuses a00, a01, a02 and 37 more (no rack)")
