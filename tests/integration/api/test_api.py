"""The API of replicas on the real stack: who answers, what is measured, and what a loss of the leader does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.app.demo.story import poll
from tests.integration.api.conftest import JOB, WAIT_S, Site
from tests.unit.api.test_deploy import names, queries

pytestmark = pytest.mark.stack
ONLY_WITH_KAFKA = "KafkaSourceReader"


def test_the_leader_is_where_its_info_says_and_is_ready(site: Site) -> None:
    assert site.get("/livez").json()["ok"]
    assert site.get("/readyz").status_code == 200
    told = site.get("/leader")
    assert told.status_code == 200
    assert told.json()["leader"]["api"] == site.url


def test_flinks_own_metrics_are_where_the_targets_say_and_the_dashboards_names_are_among_them(site: Site) -> None:
    targets = site.get("/api/v1/prometheus/targets").json()
    mine = [target for target in targets if target["labels"]["weir_job"] == JOB]
    assert {target["labels"]["weir_role"] for target in mine} == {"jobmanager", "taskmanager"}
    wanted = {name for query in queries() for name in names(query) if name.startswith("flink_")}
    wanted = {name for name in wanted if ONLY_WITH_KAFKA not in name}

    def missing() -> set[str] | None:
        found = set()
        for target in mine:
            text = site.http.get(f"http://{target['targets'][0]}/metrics").text
            for family in text_string_to_metric_families(text):
                found |= {sample.name for sample in family.samples}
        return None if wanted - found else found

    assert wanted
    poll("every metric of the dashboard is there", missing, WAIT_S, tick=site.installation.check)


def test_the_metrics_of_the_leader_speak_of_the_job(site: Site) -> None:
    families = list(text_string_to_metric_families(site.get("/metrics").text))
    values = {(sample.name, sample.labels.get("job")): sample.value for family in families for sample in family.samples}

    assert values["weir_job_unreconciled_seconds", JOB] == 0
    assert values["weir_job_savepoints", JOB] >= 1
    assert values["weir_leader", None] == 1
    assert values["weir_offers_used_total", None] >= 1


def test_live_events_arrive(site: Site) -> None:
    with site.http.stream("GET", f"{site.url}/api/v1/live", timeout=30.0) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "event: job"
        assert json.loads(next(lines).removeprefix("data: "))["name"]
        assert next(line for line in lines if line == "event: ping")


def test_another_replica_redirects_and_takes_over_with_its_api(site: Site) -> None:
    """The last test of this file: it kills the leader."""
    installation = site.installation
    before = site.leader()
    assert before.api is not None
    follower = next(name for name in installation.replicas if name != before.replica)
    address = _address_of(site, follower)

    assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
    assert httpx.get(f"{address}/leader", trust_env=False).status_code == 503
    answer = httpx.get(f"{address}/api/v1/jobs/{JOB}?x=1", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{before.api}/api/v1/jobs/{JOB}?x=1")

    installation.stack.kill(before.replica)
    try:
        poll("the other one leads", lambda: site.leader().replica == follower, WAIT_S)
        poll("and knows the job", lambda: site.job().get("lifecycle") == "STABLE", WAIT_S)
        assert site.url == address
    finally:
        installation.stack.start(before.replica)


def _address_of(site: Site, replica: str) -> str:
    """Where a replica listens, from what it logged."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        service = next(each for each in site.installation.stack.status() if each.name == replica)
        for line in reversed(Path(service.log).read_text().splitlines()):
            if "api.listening" in line:
                return line.rpartition("url=")[2].strip()
        time.sleep(0.1)
    raise AssertionError(f"{replica} never listened")
