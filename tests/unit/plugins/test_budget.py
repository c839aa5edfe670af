"""The restart budget as `decide` keeps it: counting, back-off, giving up, broken strategies, failover."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from plugins import registry
from plugins.guard import BoundedRestart, StrategyTimedOut
from reconciler.jobs import requests
from reconciler.model.decision import Desired
from reconciler.model.observation import Observation, TaskState
from reconciler.model.policy import Policy
from reconciler.model.record import AgentAttribute, Record, Restarts, Role, SpecRef, Task
from reconciler.model.spec import Restart
from reconciler.restarts import AVOID_S, DEFAULT_DELAY_S, not_before
from reconciler.turn import Turn
from state.codec import decode_record, encode_record
from tests.unit.decide.scenario import Scenario, spec

OURS = registry.load(registry.RESTART)


class Answers:
    """A strategy of somebody else."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def delay(self, config: Restart, restarts: Restarts, now: float, seed: str) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(config) if callable(self.answer) else self.answer


def job(restart: dict[str, Any], parallelism: int = 2, **strategies: Any) -> Scenario:
    policy = Policy(storage="file:///srv/weir", restart_strategies={**OURS, **strategies})
    made = Scenario(spec(restart={"jitter": 0} | restart, job={"parallelism": parallelism}), policy)
    made.bring_up()
    return made


def lose(running: Scenario, *tasks: Task) -> None:
    for task in tasks or running.of(Role.TASK_MANAGER)[:1]:
        running.mesos(task, TaskState.FAILED)
    running.settle()


def come_back(running: Scenario) -> None:
    running.now = max(running.now, budget(running).next_at)
    running.place()
    running.run_tasks()
    running.settle()


def budget(running: Scenario) -> Restarts:
    assert running.record is not None
    return running.record.restarts


def test_a_failure_is_charged_with_its_agent() -> None:
    running = job({"strategy": "fixed-delay", "delay": "7s"})
    lost = running.of(Role.TASK_MANAGER)[0]

    lose(running, lost)

    assert (budget(running).total, budget(running).attempt, budget(running).delay) == (1, 1, 7.0)
    assert [each.agent_id for each in budget(running).failed_agents] == [lost.agent_id]
    assert running.of(Role.TASK_MANAGER)[-1].not_before == running.now + 7.0


def test_failures_during_a_back_off_are_one_attempt() -> None:
    running = job({"strategy": "fixed-delay", "delay": "10s", "attempts": 2}, parallelism=8)
    tasks = running.of(Role.TASK_MANAGER)

    lose(running, *tasks[:3])
    due = budget(running).next_at
    running.now += 5
    lose(running, tasks[3])

    assert (budget(running).total, budget(running).attempt) == (4, 1)
    assert budget(running).next_at == due
    assert len(budget(running).recent) == 1


def test_fixed_delay_gives_up_after_its_attempts_and_a_person_may_start_it_afresh() -> None:
    running = job({"strategy": "fixed-delay", "attempts": 2})
    for _ in range(2):
        lose(running)
        come_back(running)

    lose(running)
    assert running.record is not None
    assert running.record.blocked == "RESTARTS_EXHAUSTED"
    assert running.events.count("RESTARTS_EXHAUSTED") == 1

    running.edit(spec(restart={"strategy": "fixed-delay", "attempts": 3, "jitter": 0}))
    running.settle()
    come_back(running)
    lose(running)
    assert running.record.blocked is None
    assert budget(running).attempt == 1


def test_more_failures_of_a_job_that_was_given_up_say_nothing_new() -> None:
    running = job({"strategy": "none"}, parallelism=4)
    first, second = running.of(Role.TASK_MANAGER)
    lose(running, first)

    running.now += 60
    lose(running, second)

    assert running.events.count("RESTARTS_EXHAUSTED") == 1
    assert budget(running).total == 2


def test_the_budget_is_reset_after_a_time_without_failures_not_counting_back_offs() -> None:
    running = job({"strategy": "fixed-delay", "delay": "20m", "attempts": 1, "resetAfter": "10m"})
    lose(running)
    come_back(running)

    running.now += 60
    lose(running)
    assert running.record is not None
    assert running.record.blocked == "RESTARTS_EXHAUSTED"

    well = job({"strategy": "fixed-delay", "delay": "20m", "attempts": 1, "resetAfter": "10m"})
    lose(well)
    come_back(well)
    well.now += 601
    lose(well)
    assert budget(well).attempt == 1


def test_f58_back_off_and_attempts_survive_a_failover() -> None:
    """Every record is written and read back between two decisions, as a new leader would read it."""

    def life(failover: bool) -> list[tuple[int, float, tuple[float, ...]]]:
        running = job({"strategy": "exponential-delay", "jitter": 0.3, "maxBackoff": "5m"})
        seen = []
        for _ in range(6):
            lose(running)
            if failover:
                assert running.record is not None
                running.record = decode_record(encode_record(running.record), "orders")
            seen.append((budget(running).attempt, budget(running).next_at, budget(running).recent))
            come_back(running)
        return seen

    assert life(failover=True) == life(failover=False)
    assert [attempt for attempt, _, _ in life(failover=True)] == [1, 2, 3, 4, 5, 6]


def test_f59_a_clock_set_back_does_not_make_a_job_wait_for_an_hour() -> None:
    running = job({"strategy": "fixed-delay", "delay": "10s"})
    lose(running)
    come_back(running)

    running.now -= 3600
    lose(running)

    assert running.of(Role.TASK_MANAGER)[-1].not_before <= running.now + 10.0


def test_f59_a_time_far_ahead_is_not_waited_for_longer_than_the_delay_was() -> None:
    record = Record("orders", "0123456789", SpecRef(1, 0), restarts=Restarts(next_at=5_000.0, delay=10.0))
    turn = Turn(Desired("orders", present=True), record, Observation(), 1_000.0, Policy(storage="file:///srv"))

    assert not_before(turn) == 1_010.0


def test_a_long_fixed_delay_is_waited_for_in_full() -> None:
    running = job({"strategy": "fixed-delay", "delay": "30m"})

    lose(running)

    assert running.of(Role.TASK_MANAGER)[-1].not_before == running.now + 1800.0


NONSENSE = [
    float("nan"), float("inf"), -1, -0.001, 86401, 10**400, True, False, "5", [5], {}, object(), 1j,
    ValueError("no"), ZeroDivisionError(), RecursionError("deep"), SystemExit(1),
]  # fmt: skip


@pytest.mark.parametrize("answer", NONSENSE, ids=repr)
def test_f57_nonsense_falls_back_and_is_told_once(answer: Any) -> None:
    running = job({"strategy": "odd"}, odd=Answers(answer))

    for _ in range(5):
        lose(running)
        assert budget(running).next_at == running.now + DEFAULT_DELAY_S
        come_back(running)

    assert running.events.count("STRATEGY_FAILED") == 1
    assert running.record is not None
    assert running.record.blocked is None


def test_f57_a_strategy_that_was_uninstalled_falls_back() -> None:
    running = job({"strategy": "gone"})

    lose(running)

    assert budget(running).next_at == running.now + DEFAULT_DELAY_S
    assert budget(running).problem == "gone is not installed"


def test_f57_trouble_that_comes_back_is_told_again() -> None:
    odd = Answers(ValueError("no"))
    running = job({"strategy": "odd"}, odd=odd)
    lose(running)
    come_back(running)
    odd.answer = 1.0
    lose(running)
    come_back(running)
    odd.answer = ValueError("no")

    lose(running)

    assert running.events.count("STRATEGY_FAILED") == 2


def test_f57_an_answer_whose_repr_raises_is_still_an_answer() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    running = job({"strategy": "odd"}, odd=Answers(Rude()))

    lose(running)

    assert budget(running).next_at == running.now + DEFAULT_DELAY_S


def test_f57_a_strategy_cannot_change_what_is_persisted() -> None:
    def rude(config: Restart) -> float:
        config.options["step"] = "changed"
        return 1.0

    running = job({"strategy": "odd", "options": {"step": "30s"}}, odd=Answers(rude))

    lose(running)

    assert running.record is not None
    assert running.record.spec is not None
    assert running.record.spec.restart.options == {"step": "30s"}


def test_f57_a_strategy_that_hangs_is_given_up_and_left_alone_for_a_while() -> None:
    asked = []

    def hang(config: Restart) -> float:
        asked.append(config)
        time.sleep(3)
        return 1.0

    guarded = BoundedRestart("slow", Answers(hang), limit_s=0.05)
    running = job({"strategy": "slow"}, slow=guarded)

    start = time.monotonic()
    for _ in range(3):
        lose(running)
        come_back(running)

    assert time.monotonic() - start < 2.0
    assert len(asked) == 1
    assert running.events.count("STRATEGY_FAILED") == 1
    with pytest.raises(StrategyTimedOut, match="did not answer"):
        guarded.delay(Restart(), Restarts(), 0.0, "")


def test_a_guarded_strategy_answers_and_raises_as_before() -> None:
    assert BoundedRestart("fast", Answers(3.0)).delay(Restart(), Restarts(), 0.0, "") == 3.0
    with pytest.raises(ValueError, match="no"):
        BoundedRestart("bad", Answers(ValueError("no"))).delay(Restart(), Restarts(), 0.0, "")


# What placing is told


def test_placing_avoids_agents_on_which_the_job_failed_for_a_while() -> None:
    running = job({"strategy": "fixed-delay", "delay": "1s"})
    lost = running.of(Role.TASK_MANAGER)[0]
    lose(running, lost)
    assert running.record is not None

    wanted = requests(running.record, running.now + 2)

    assert [request.avoid for request in wanted] == [{lost.agent_id}]
    assert [request.relaunch for request in wanted] == [True]
    assert requests(running.record, running.now + AVOID_S + 1)[0].avoid == frozenset()


def test_siblings_are_placed_tasks_that_stay() -> None:
    running = job({"strategy": "fixed-delay", "delay": "1s"}, parallelism=6)
    first, second, third = running.of(Role.TASK_MANAGER)
    lose(running, first)
    assert running.record is not None
    rack = (AgentAttribute("rack", "r2"),)
    changed = {second.task_id: {"attributes": rack}, third.task_id: {"kill_since": running.now}}
    tasks = tuple(replace(task, **changed.get(task.task_id, {})) for task in running.record.tasks)

    (wanted,) = requests(replace(running.record, tasks=tasks), running.now + 2)

    managers = [each for each in wanted.siblings if each.role is Role.TASK_MANAGER]
    assert [(each.agent_id, each.attributes) for each in managers] == [(second.agent_id, {"rack": "r2"})]
    assert [each.role for each in wanted.siblings].count(Role.JOB_MANAGER) == 1
