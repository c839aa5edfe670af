"""The read API: what it says about jobs, and that no request ends in a 500."""

from __future__ import annotations

import httpx
import pytest

from reconciler.app.api.live import Lines, changes
from reconciler.model.status import LeaderInfo
from tests.unit.api.conftest import Site


def test_the_list_says_how_each_job_is_and_why(leading: Site) -> None:
    (job,) = leading.get("/api/v1/jobs")["jobs"]

    assert (job["name"], job["lifecycle"], job["why"]) == ("orders", "STABLE", "running and stable")
    assert (job["reconciled"], job["unreconciledSeconds"], job["accepted"]) == (True, 0.0, True)
    assert job["tasks"] == {"jobManager": "1/1", "taskManager": "1/1"}
    assert job["agents"] == ["a1.example", "a2.example"]
    assert job["jobState"] == "RUNNING"


def test_a_job_has_what_is_desired_what_runs_and_how_they_differ(leading: Site) -> None:
    leading.apply(env={"LEVEL": "debug"})
    leading.let_pass(0.5)
    job = leading.get("/api/v1/jobs/orders")

    assert job["desired"]["version"] == 1
    assert job["desired"]["spec"]["env"] == {"LEVEL": "debug"}
    assert job["record"]["ending"]["reason"] == "UPGRADE"
    assert job["record"]["generation"] == 1
    (difference,) = job["differences"]
    assert (difference["path"], difference["change"]) == ("env.LEVEL", "UPGRADE")
    roles = {task["role"]: task for task in job["taskList"]}
    assert roles["TaskManager"]["registered"] is True
    assert roles["JobManager"]["state"] == "RUNNING"
    framework = leading.world.users.load_framework_id()
    agent, task = roles["JobManager"]["agentId"], roles["JobManager"]["id"]
    assert roles["JobManager"]["sandboxUrl"] == (
        f"http://10.0.0.1:5050/#/agents/{agent}/frameworks/{framework}/executors/{task}/browse"
    )


def test_a_refused_version_is_told_with_its_field_and_a_hint(leading: Site) -> None:
    leading.apply(job={"type": "jar", "uri": "file:///srv/job.jar", "paralelism": 2})
    leading.let_pass(3)
    job = leading.get("/api/v1/jobs/orders")

    assert job["accepted"] is False
    assert job["lifecycle"] == "STABLE"
    assert "is refused" in job["why"]
    assert job["desired"]["errors"][0]["path"] == "job.paralelism"


def test_events_and_history_are_the_same_story(leading: Site) -> None:
    events = leading.get("/api/v1/jobs/orders/events")["events"]
    assert [event["code"] for event in events] == ["CREATED", "GENERATION_STARTED", "RUNNING", "DEPLOYED", "STABLE"]
    assert len(leading.get("/api/v1/jobs/orders/events?limit=2")["events"]) == 2

    (generation,) = leading.get("/api/v1/jobs/orders/history")["generations"]
    assert (generation["generation"], generation["current"]) == (1, True)
    assert generation["events"] == events
    assert leading.get("/api/v1/events?limit=3")["events"][0]["job"] == "orders"


def test_the_latest_events_of_all_jobs_do_not_depend_on_their_names(
    leading: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading.apply("a-old")
    leading.let_pass(15)
    leading.apply("z-new")
    leading.let_pass(5)
    monkeypatch.setattr("reconciler.app.api.jobs.EVENT_JOBS", 1)

    latest = leading.get("/api/v1/events?limit=3")["events"]
    assert {event["job"] for event in latest} == {"z-new"}
    assert [event["time"] for event in latest] == sorted((event["time"] for event in latest), reverse=True)


def test_the_latest_events_are_those_of_all_histories_whatever_is_read_of_them(leading: Site) -> None:
    for name in ("a", "z", "m"):
        leading.apply(name)
        leading.let_pass(7)
    leading.apply("orders", env={"A": "b"})
    leading.let_pass(20)
    every = [
        (event["time"], job["name"])
        for job in leading.get("/api/v1/jobs")["jobs"]
        for event in leading.get(f"/api/v1/jobs/{job['name']}/events")["events"]
    ]

    for limit in (1, 5, 12, 1000):
        found = [event["time"] for event in leading.get(f"/api/v1/events?limit={limit}")["events"]]
        assert found == sorted((time for time, _ in every), reverse=True)[:limit]


def test_what_is_asked_of_all_jobs_is_among_the_latest_events_and_jobs_say_that_they_are_paused(leading: Site) -> None:
    assert not leading.get("/api/v1/jobs/orders")["paused"]
    leading.world.users.put_request("_global", b'{"action": "pause", "args": {"reason": "move"}, "by": "ann"}')
    leading.let_pass(5)

    assert leading.get("/api/v1/events?limit=5")["events"][0]["job"] == "_global"
    job = leading.get("/api/v1/jobs/orders")
    assert (job["lifecycle"], job["paused"], job["held"]) == ("STABLE", True, False)
    for path in ("/", "/jobs/orders"):
        assert '<span class="badge busy">paused</span>' in leading.text(path)
    assert ">held</span>" not in leading.text("/")


def test_a_job_whose_desired_state_vanished_is_said_to_be_held(leading: Site) -> None:
    names = [f"j{number}" for number in range(6)]
    for name in names:
        leading.apply(name)
    leading.let_pass(5)
    for name in names[:5]:
        leading.world.users.delete_job(name)
    leading.let_pass(5)

    assert {job["name"]: job["held"] for job in leading.get("/api/v1/jobs")["jobs"]}["j0"]
    assert '<span class="badge bad">held</span>' in leading.text("/jobs/j0")
    assert "<dt>Need a person</dt><dd>5</dd>" in leading.text("/")


def test_savepoints_are_listed_newest_first(leading: Site) -> None:
    for nonce in (1, 2):
        leading.apply(job={"type": "python", "uri": "file:///srv/job.py", "savepointTriggerNonce": nonce})
        leading.let_pass(15)
    found = leading.get("/api/v1/jobs/orders/snapshots")

    assert [each["kind"] for each in found["snapshots"]] == ["savepoint", "savepoint"]
    assert found["newest"] == found["snapshots"][0]
    assert found["snapshots"][0]["checkpointId"] > found["snapshots"][1]["checkpointId"]


def test_checkpoints_are_asked_of_the_job_manager(leading: Site) -> None:
    found = leading.get("/api/v1/jobs/orders/checkpoints")
    assert [each["id"] for each in found["checkpoints"]] == [1, 2, 3]
    assert found["checkpoints"][2] == {
        "id": 3, "kind": "savepoint", "status": "COMPLETED", "triggeredAt": "1970-01-12T13:46:40Z",
        "durationSeconds": 0.36, "sizeBytes": 12288,
    }  # fmt: skip


@pytest.mark.parametrize("answer", ["nonsense", "[]", '{"history": [{}]}', '{"history": [{"id": "x"}]}'])
def test_an_answer_that_is_not_flinks_is_told(leading: Site, answer: str) -> None:
    leading.flink_answer = lambda _: httpx.Response(200, text=answer)

    found = leading.get("/api/v1/jobs/orders/checkpoints")
    assert not found["available"]
    assert "Flink" in found["why"]


def test_the_cluster_has_replicas_agents_and_why_offers_were_declined(leading: Site) -> None:
    leading.apply("hungry", taskManager={"cpus": 900.0})
    leading.let_pass(20)
    cluster = leading.get("/api/v1/cluster")

    assert [(each["name"], each["leads"]) for each in cluster["replicas"]] == [("r", True), ("r2", False)]
    assert cluster["mesos"]["connected"]
    assert cluster["mesos"]["master"] == "10.0.0.1:5050"
    agents = {agent["hostname"]: agent for agent in cluster["agents"]}
    assert agents["idle-host"]["cpus"] == 8.0
    assert {task["job"] for task in agents["a1.example"]["tasks"]} >= {"orders"}
    (waiting,) = cluster["waiting"]
    assert waiting["job"] == "hungry"
    assert "900" in waiting["why"]
    assert any("hungry" in each["why"] for each in cluster["declined"])


def test_a_follower_redirects_to_the_leader_with_path_and_query(site: Site) -> None:
    site.tree.other = LeaderInfo(replica="r2", host="other", pid=2, api="http://10.0.0.9:8480")

    answer = site.http.get("/api/v1/jobs/orders/events?limit=3")
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://10.0.0.9:8480/api/v1/jobs/orders/events?limit=3"


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (None, "no replica leads"),
        (LeaderInfo(replica="r", host="h", pid=1, api="http://127.0.0.1:1"), "taking over"),
        (LeaderInfo(replica="r2", host="other", pid=2), "switched off"),
        (LeaderInfo(replica="r2", host="other", pid=2, api="http://127.0.0.1:8480"), "only its own host"),
    ],
)
def test_a_follower_that_cannot_redirect_says_why(site: Site, info: LeaderInfo | None, says: str) -> None:
    site.tree.other = info
    answer = site.get("/api/v1/jobs", 503)
    assert says in answer["error"]
    assert answer["hint"]


def test_silence_of_zookeeper_is_no_missing_job(leading: Site) -> None:
    leading.tree.silent = True

    assert leading.get("/api/v1/jobs")["jobs"]
    assert "ZooKeeper" in leading.get("/api/v1/jobs/orders/events", 503)["error"]
    assert leading.get("/api/v1/jobs/nothing", 404)["error"] == "there is no job nothing"


@pytest.mark.parametrize("path", ["/api/v1/jobs/" + "n" * 1001, "/api/v1/jobs/orders/events?limit=x"])
def test_a_request_that_cannot_be_used_is_refused_with_a_sentence(leading: Site, path: str) -> None:
    assert leading.get(path, 400)["hint"]


def test_targets_are_what_prometheus_expects(leading: Site) -> None:
    targets = leading.get("/api/v1/prometheus/targets")

    assert {target["labels"]["weir_role"] for target in targets} == {"jobmanager", "taskmanager"}
    for target in targets:
        assert set(target) == {"targets", "labels"}
        host, _, port = target["targets"][0].rpartition(":")
        assert host
        assert int(port) > 0


def test_live_tells_every_job_first_and_then_only_what_changed(leading: Site) -> None:
    sent: dict[str, str] = {}
    lines = Lines()

    def told() -> list[str]:
        published = leading.monitor.current()
        assert published is not None
        return changes(lines.of(published), sent)

    assert [line.splitlines()[0] for line in told()] == ["event: job"]
    leading.let_pass(5)
    assert told() == []
    leading.world.users.delete_job("orders")
    leading.let_pass(1)
    assert '"DELETING"' in told()[0]


def test_a_mistake_of_ours_is_a_sentence_and_no_traceback(leading: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.app.api.jobs.summary", lambda *_: 1 / 0)

    answer = leading.get("/api/v1/jobs", 500)
    assert "mistake in weir" in answer["error"]
    assert "Traceback" not in str(answer)


def test_the_end_of_a_tasks_output_is_read_from_its_sandbox(leading: Site) -> None:
    task = leading.get("/api/v1/jobs/orders")["taskList"][0]
    log = leading.get(f"/api/v1/jobs/orders/tasks/{task['id']}/log")

    assert log["text"] == f"<b>{task['id']} on {task['agentId']}</b>"
    assert log["offset"] + len(log["text"]) == log["size"] == 1000
    assert "agent is gone" in leading.get(f"/api/v1/jobs/orders/tasks/{task['id']}/log?file=stderr", 503)["error"]
    assert leading.get("/api/v1/jobs/orders/tasks/orders.0000000000.1.jm.0.9/log", 404)["hint"]
    assert leading.get(f"/api/v1/jobs/orders/tasks/{task['id']}/log?file=../../etc/passwd", 400)
    page = leading.text(f"/jobs/orders/tasks/{task['id']}")
    assert "&lt;b&gt;" in page
    assert "agent is gone" in page
