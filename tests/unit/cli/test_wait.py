"""`--wait`: until the job is what was asked for, cannot become it, or time is up."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.record import Generation, Record, SpecRef
from reconciler.model.spec import JobSpec
from reconciler.ports import StoreUnavailable
from tests.unit.cli.conftest import SPEC, World


def steps(world: World, *statuses: dict[str, object]) -> None:
    """The leader says one after the other, one for each look."""

    def next_one(number: int) -> None:
        if number <= len(statuses):
            world.says(**statuses[number - 1])

    world.on_sleep = next_one


def test_it_waits_until_the_job_is_stable_and_tells_each_step_once(world: World) -> None:
    waiting = {"lifecycle": "CREATED", "why": "waiting for an offer: needs 4 cpus"}
    steps(world, waiting, waiting, {"lifecycle": "DEPLOYED", "why": "running"}, {"lifecycle": "STABLE"})

    result = world.weir("apply", "-f", world.file(SPEC), "--wait")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "even-ids: -, version 0 of the desired state was not taken up yet",
        "even-ids: CREATED, waiting for an offer: needs 4 cpus",
        "even-ids: DEPLOYED, running",
    ]


def test_every_job_that_was_applied_is_waited_for_within_one_time(world: World) -> None:
    files = [argument for name in ("one", "two", "three") for argument in ("-f", world.file(SPEC, f"{name}.json"))]

    def says(_: int) -> None:
        world.says("one", lifecycle="BLOCKED", why="the newest state is missing")
        world.says("two", lifecycle="CREATED", why="waiting for an offer")
        world.says("three")

    world.on_sleep = says
    result = world.weir("apply", *files, "--wait", "--timeout", "3s")

    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors[0].startswith('error: "one" is BLOCKED')
    assert errors[1].startswith('error: "two" is not FINISHED or STABLE after 3s')
    assert len(errors) == 2
    assert world.sleeps < 12


def test_the_stability_of_an_older_version_does_not_count(world: World) -> None:
    world.put()
    world.says()
    steps(world, {"lifecycle": "UPGRADING", "why": "stopping"}, {"lifecycle": "STABLE"})

    result = world.weir("apply", "-f", world.file({**SPEC, "restartNonce": 1}), "--wait", "STABLE")

    assert result.exit_code == 0
    assert world.sleeps == 2


def test_a_job_that_is_rescaled_is_not_what_was_asked_for_although_it_is_stable(world: World) -> None:
    """While Flink rescales it in place it is STABLE as it was."""
    world.put()
    scaled = {**SPEC, "job": {**SPEC["job"], "parallelism": 2}}
    spec = JobSpec.model_validate(scaled)
    generation = Generation(1, spec, "ab" * 16, "c-1", 1.0)
    before = Record("even-ids", "0123456789", SpecRef(2, 1), spec=spec, generation=generation)

    def rescales(since: float | None) -> None:
        world.says(why="rescaling in place" if since else "running and stable")
        world.remembers(replace(before, generation=replace(generation, scaling_since=since)))

    world.on_sleep = lambda number: rescales(5.0 if number < 3 else None)

    result = world.weir("apply", "-f", world.file(scaled), "--wait")

    assert result.exit_code == 0
    assert world.sleeps == 3
    assert result.stderr.splitlines()[-1] == "even-ids: STABLE, rescaling in place"


def test_a_suspended_job_is_waited_for_until_it_is_suspended(world: World) -> None:
    steps(world, {"lifecycle": "STABLE"}, {"lifecycle": "SUSPENDED", "why": "suspended"})

    result = world.weir("apply", "-f", world.file({**SPEC, "job": {**SPEC["job"], "state": "suspended"}}), "--wait")

    assert result.exit_code == 0
    assert world.sleeps == 2


def test_a_time_out_has_its_own_exit_code_and_the_last_reason(world: World) -> None:
    steps(world, {"lifecycle": "CREATED", "why": "waiting for an offer: needs 4 cpus"})

    result = world.weir("apply", "-f", world.file(SPEC), "--wait", "--timeout", "3s")

    assert result.exit_code == 4
    last = result.stderr.splitlines()[-1]
    assert last.startswith('error: "even-ids" is not FINISHED or STABLE after 3s: waiting for an offer: needs 4 cpus')
    assert last.endswith("see: weir describe even-ids")


def test_nobody_is_kept_waiting_for_a_job_that_is_stuck(world: World) -> None:
    steps(world, {"lifecycle": "BLOCKED", "why": "the newest state is missing"})

    result = world.weir("apply", "-f", world.file(SPEC), "--wait")

    assert result.exit_code == 1
    assert 'error: "even-ids" is BLOCKED: the newest state is missing' in result.stderr


def test_a_version_that_the_operator_refuses_ends_the_waiting(world: World) -> None:
    steps(world, {"accepted": False, "error": "job.uri: there is no file /srv/jobs/even_ids.py", "generation": 0})

    result = world.weir("apply", "-f", world.file(SPEC), "--wait")

    assert result.exit_code == 1
    assert "is refused: job.uri: there is no file /srv/jobs/even_ids.py; nothing runs yet" in result.stderr


def test_silence_of_zookeeper_is_waited_out(world: World, monkeypatch: object) -> None:
    world.put()

    def silent_once(number: int) -> None:
        world.says() if number > 1 else world.tree.sessions[-1].fail_next(call="load_status")

    world.on_sleep = silent_once
    result = world.weir("apply", "-f", world.file(SPEC), "--wait")

    assert result.exit_code == 0
    assert f"ZooKeeper does not answer: {StoreUnavailable('load_status: no answer')}" in result.stderr


def test_a_delete_waits_until_every_task_is_gone(world: World) -> None:
    world.put()
    world.says()
    steps(world, {"lifecycle": "DELETING", "why": "stopping generation 1"}, {"lifecycle": "DELETED", "why": "deleted"})

    result = world.weir("delete", "even-ids", "--yes", "--wait")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "even-ids is gone"
    assert "even-ids: DELETING, stopping generation 1" in result.stderr


def test_a_delete_that_is_held_for_confirmation_says_so(world: World) -> None:
    world.put()
    world.says()
    steps(world, {"error": "5 of 6 jobs vanished at once; nothing is stopped"})

    result = world.weir("delete", "even-ids", "--yes", "--wait")

    assert result.exit_code == 1
    assert "is not deleted: 5 of 6 jobs vanished at once" in result.stderr
