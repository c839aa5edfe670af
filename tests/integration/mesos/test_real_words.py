"""The real master's and ZooKeeper's own words and habits that the adapter relies on."""

from __future__ import annotations

import http.client
import json
import time

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl

from integration.mesos.detector import detector_for
from reconciler.model.events import Disconnected, FrameworkDisplaced, OffersReceived, Subscribed

pytestmark = pytest.mark.stack


def test_f35_a_call_with_the_old_stream_id_is_refused_in_the_words_that_are_looked_for(scheduler_on):
    first, second = scheduler_on(), scheduler_on()
    master, stream_id = first.cluster._driver.require()
    second.cluster.stop()
    second.cluster.start(first.framework_id, second.events.append)
    first.wait(lambda: first.of(FrameworkDisplaced))
    link = http.client.HTTPConnection(master, timeout=5)
    body = {"type": "REVIVE", "framework_id": {"value": first.framework_id}}
    headers = {"Content-Type": "application/json", "Mesos-Stream-Id": stream_id}
    link.request("POST", "/api/v1/scheduler", json.dumps(body), headers)
    answer = link.getresponse()
    text = answer.read().decode().lower()
    assert answer.status == 400
    assert "stream id" in text
    assert "match" in text


def test_f36_a_suppressed_framework_stays_suppressed_over_a_new_subscription(scheduler_on):
    scheduler = scheduler_on()
    scheduler.offer()
    scheduler.cluster.suppress()
    since = scheduler.mark()
    scheduler.cluster._driver.resubscribe("a test broke the stream")
    scheduler.wait(lambda: scheduler.of(Subscribed, since))
    assert scheduler.of(Disconnected, since)
    time.sleep(3.0)
    assert scheduler.of(OffersReceived, since) == []
    scheduler.cluster.revive()
    scheduler.wait(lambda: scheduler.of(OffersReceived, since))


def test_a_master_that_is_not_the_leader_redirects_to_it(stack, scheduler_on):
    follower = next(m for m in stack.masters() if m.up and not m.leading)
    scheduler = scheduler_on(f"{follower.address[0]}:{follower.address[1]}")
    leader = stack.leader()
    assert scheduler.of(Subscribed)[0].master == f"{leader.address[0]}:{leader.address[1]}"


@pytest.fixture
def zk(stack):
    client = KazooClient(hosts=stack.zk)
    client.start(timeout=10)
    yield client
    client.delete("/test-mesos", recursive=True)
    client.stop()
    client.close()


def master_info(port):
    return json.dumps({"address": {"ip": "127.0.0.1", "port": port}}).encode()


def wait_until(seen, expected):
    deadline = time.monotonic() + 15.0
    while seen != expected:
        assert time.monotonic() < deadline, f"{seen} is not {expected}"
        time.sleep(0.02)


@pytest.mark.parametrize("own_client", [True, False])
def test_the_detector_follows_election_znodes_from_before_their_parent_exists(stack, zk, own_client):
    if own_client:
        detector = detector_for(f"zk://{stack.zk}/test-mesos")
    else:
        detector = detector_for(f"zk://{stack.zk}/test-mesos", zk)
    seen = []
    detector.start(seen.append)
    try:
        wait_until(seen, [None])
        zk.create("/test-mesos")
        first = zk.create("/test-mesos/json.info_", master_info(1), sequence=True)
        wait_until(seen, [None, "127.0.0.1:1"])
        zk.create("/test-mesos/json.info_", master_info(2), sequence=True)
        zk.delete(first)
        wait_until(seen, [None, "127.0.0.1:1", "127.0.0.1:2"])
        zk.delete("/test-mesos", recursive=True)
        wait_until(seen, [None, "127.0.0.1:1", "127.0.0.1:2", None])
    finally:
        detector.stop()
    assert zk.create("/test-mesos") == "/test-mesos"


def test_the_credentials_of_the_url_are_used(stack, zk):
    acl = [make_digest_acl("weir", "s3cret", all=True)]
    zk.create("/test-mesos")
    zk.create("/test-mesos/closed", acl=acl)
    zk.add_auth("digest", "weir:s3cret")
    zk.create("/test-mesos/closed/json.info_0000000001", master_info(7), acl=acl)
    seen, refused = [], []
    detector, other = (
        detector_for(f"zk://weir:s3cret@{stack.zk}/test-mesos/closed"),
        detector_for(f"zk://weir:wrong@{stack.zk}/test-mesos/closed"),
    )
    detector.start(seen.append)
    other.start(refused.append)
    try:
        wait_until(seen, ["127.0.0.1:7"])
        assert refused == []
    finally:
        detector.stop()
        other.stop()
