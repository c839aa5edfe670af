"""On thousands of agents not all are compared, but none that is needed is missed."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.resources import Candidate, TaskRequest
from reconciler.place import ENOUGH, place
from tests.unit.place.worlds import STRATEGIES, offer, request, sibling

HOSTS = [f"a{number:04d}" for number in range(20 * ENOUGH)]


class Counting:
    """A strategy that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def rank(self, request: TaskRequest, candidate: Candidate) -> Sequence[float]:
        self.asked += 1
        return (0.0,)


def test_the_only_agent_that_fits_is_found_among_thousands() -> None:
    for large in (HOSTS[0], HOSTS[777], HOSTS[-1]):
        offers = [offer(host, cpus=8.0 if host == large else 1.0) for host in HOSTS]
        outcome = place([request(cpus=4.0)], offers, STRATEGIES)
        assert [each.hostname for each in outcome.assignments] == [large]


def test_a_strategy_is_asked_about_a_bounded_number_of_agents() -> None:
    counting = Counting()
    place([request(strategy="counting")], [offer(host) for host in HOSTS], {"counting": counting})
    assert counting.asked == ENOUGH


def test_agents_that_failed_or_hold_the_job_already_are_no_reason_to_stop_looking() -> None:
    bad = HOSTS[: 5 * ENOUGH]
    asked = request(avoid=frozenset(bad[: 3 * ENOUGH]), siblings=tuple(sibling(host) for host in bad[3 * ENOUGH :]))
    outcome = place([asked], [offer(host) for host in HOSTS], STRATEGIES)
    assert outcome.assignments[0].hostname not in bad


def test_jobs_do_not_crowd_on_the_same_agents() -> None:
    requests = [request(job=f"job-{number}") for number in range(200)]
    used = {each.hostname for each in place(requests, [offer(host) for host in HOSTS], STRATEGIES).assignments}
    assert len(used) > 100


def test_hundreds_of_tasks_that_fit_nowhere_are_told_so_without_looking_everywhere_for_each() -> None:
    outcome = place([request(n, cpus=9.0) for n in range(500)], [offer(host) for host in HOSTS], STRATEGIES)
    assert len(outcome.waiting) == 500
    assert set(outcome.waiting.values()) == {
        f"needs 9 cpus, 1024 MiB and 2 ports; best offer has 4 cpus on {HOSTS[-1]}"
    }


def test_what_one_job_may_not_use_another_may() -> None:
    """A refusal by a constraint is remembered for the job's own tasks only."""
    offers = [offer("a1"), offer("a2", cpus=1.0)]
    rule = (("hostname", "UNIQUE"),)
    taken = (sibling("a1"),)
    requests = [
        request(0, cpus=2.0, job="one", constraints=rule, siblings=taken),
        request(0, cpus=2.0, job="two", constraints=rule),
        request(0, cpus=2.0, job="three"),
    ]
    outcome = place(requests, offers, STRATEGIES)
    assert [each.request.job for each in outcome.assignments] == ["two", "three"]
    assert "UNIQUE refuses a1" in outcome.waiting[requests[0].task_name]
