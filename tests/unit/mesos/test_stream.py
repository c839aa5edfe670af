"""The event stream: subscribing, losing the master, back-off, heartbeats, displacement."""

from __future__ import annotations

import socket
import time

import pytest

from integration.mesos.config import MesosConfig
from integration.mesos.stream import backoff
from reconciler.model.events import (
    AgentLost,
    Disconnected,
    FrameworkDisplaced,
    FrameworkRemoved,
    OfferRescinded,
    OffersReceived,
    Subscribed,
    TaskUpdate,
)
from reconciler.model.observation import TaskState

HEARTBEAT = {"type": "HEARTBEAT"}


def error(message):
    return {"type": "ERROR", "error": {"message": message}}


def test_a_first_subscription_carries_what_keeps_tasks_alive(kit, master):
    _, sink = kit.subscribed(master, roles=("flink",), principal="weir", secret="s3cret")
    request = master.subscribes[0]
    info = request["subscribe"]["framework_info"]
    assert "framework_id" not in request
    assert info["checkpoint"] is True
    assert info["failover_timeout"] == 4 * 7 * 24 * 3600
    assert info["roles"] == ["flink"]
    assert {c["type"] for c in info["capabilities"]} == {"PARTITION_AWARE", "MULTI_ROLE"}
    assert info["principal"] == "weir"
    assert master.headers[0]["authorization"].startswith("Basic ")
    assert sink.of(Subscribed) == [Subscribed("fw-1", master.address)]


def test_gpu_resources_are_asked_for_only_when_configured(kit, master):
    kit.subscribed(master, gpus=True)
    info = master.subscribes[0]["subscribe"]["framework_info"]
    assert {"type": "GPU_RESOURCES"} in info["capabilities"]


def test_a_stored_framework_id_is_subscribed_with(kit, master):
    cluster, sink = kit.cluster(master.address), kit.Recorder()
    master.framework_id = "fw-7"
    cluster.start("fw-7", sink)
    sink.wait(Subscribed)
    assert master.subscribes[0]["framework_id"] == {"value": "fw-7"}
    assert master.subscribes[0]["subscribe"]["framework_info"]["id"] == {"value": "fw-7"}


def test_the_framework_id_of_the_first_subscription_is_kept_over_a_broken_stream(kit, master):
    _, sink = kit.subscribed(master)
    master.close_stream()
    sink.wait(Subscribed, 2)
    assert master.subscribes[1]["framework_id"] == {"value": "fw-1"}
    assert [type(e) for e in sink.events] == [Subscribed, Disconnected, Subscribed]


def test_events_arrive_in_order_also_when_split_and_joined(kit, master):
    _, sink = kit.subscribed(master)
    master.send(
        {"type": "OFFERS", "offers": {"offers": [kit.offer("o1"), kit.offer("o2", "a2")]}},
        {"type": "RESCIND", "rescind": {"offer_id": {"value": "o1"}}},
        kit.status_event("t1", uuid="dXVpZA==", reason="REASON_X", message="m", source="SOURCE_EXECUTOR"),
        HEARTBEAT,
    )
    record = b'{"type": "FAILURE", "failure": {"agent_id": {"value": "a9"}}}'
    tail = b"%d\n%s" % (len(record), record)
    for i in range(len(tail)):
        master.send_raw(b"1\r\n%c\r\n" % tail[i])
    sink.wait(AgentLost)
    assert [type(e) for e in sink.events[1:]] == [OffersReceived, OfferRescinded, TaskUpdate, AgentLost]
    assert sink.of(TaskUpdate)[0] == TaskUpdate(
        "t1", TaskState.RUNNING, "a1", "REASON_X", "m", "SOURCE_EXECUTOR", "dXVpZA=="
    )


def test_f23_an_exception_of_the_sink_ends_neither_the_stream_nor_the_framework(kit, master):
    cluster, seen = kit.cluster(master.address), []

    def sink(event):
        seen.append(event)
        raise OSError("a socket error that pymesos would take for its own")

    cluster.start(None, sink)
    kit.wait_for(lambda: seen)
    master.send(kit.status_event("t1"), kit.status_event("t2"))
    kit.wait_for(lambda: len(seen) == 3)
    assert len(master.subscribes) == 1
    assert "TEARDOWN" not in master.types()


def test_f23_events_that_make_no_sense_are_skipped(kit, master):
    _, sink = kit.subscribed(master)
    master.send({"type": "UPDATE", "update": {"status": {}}}, {"type": "OFFERS"}, {"no": "type"}, [1])
    master.send({"type": "NEW_THING", "new_thing": {}}, {"type": "FAILURE", "failure": {}}, kit.status_event("t1"))
    sink.wait(TaskUpdate)
    assert len(master.subscribes) == 1


def test_a_task_state_of_the_future_proves_nothing(kit, master):
    _, sink = kit.subscribed(master)
    master.send(kit.status_event("t1", "TASK_TELEPORTED"))
    assert sink.wait(TaskUpdate).state is TaskState.UNKNOWN


def test_f30_a_silent_master_is_left_after_five_missed_heartbeats(kit, master):
    master.heartbeat_s = 0.02
    _, sink = kit.subscribed(master)
    master.heartbeat_s = 15.0
    sink.wait(Subscribed, 2)
    assert "5 heartbeats" in sink.of(Disconnected)[0].why


def test_f30_heartbeats_keep_the_stream(kit, master):
    master.heartbeat_s = 0.1
    _, sink = kit.subscribed(master)
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        master.send(HEARTBEAT)
        time.sleep(0.05)
    assert sink.of(Disconnected) == []


def test_f30_a_recovering_master_is_asked_again_with_growing_pauses(kit, master):
    master.subscribe_script = [kit.reply(503)] * 4
    cluster, sink = kit.cluster(master.address), kit.Recorder()
    cluster.start("fw-1", sink)
    sink.wait(Subscribed)
    assert len(master.subscribes) == 5
    assert [type(e) for e in sink.events] == [Disconnected, Subscribed]
    assert "503" in sink.events[0].why


def test_f30_back_off_is_fast_at_first_bounded_and_the_same_for_the_same_attempt():
    config = MesosConfig(user="x")
    delays = [backoff(config, n, "weir") for n in range(1, 40)]
    assert delays[0] <= 0.1
    assert sum(delays[:4]) < 1.6
    assert max(delays) <= 15.0
    assert min(delays[10:]) >= 7.5
    assert delays == [backoff(config, n, "weir") for n in range(1, 40)]


def test_f30_a_master_that_closes_at_once_does_not_cause_a_storm(kit, master):
    master.subscribe_script = [lambda sock: sock.shutdown(socket.SHUT_RDWR)] * 1000
    cluster = kit.cluster(master.address, backoff_first_s=0.05)
    cluster.start("fw-1", kit.Recorder())
    time.sleep(1.0)
    assert 3 <= len(master.subscribes) <= 8


def test_a_refused_connection_is_tried_again_until_the_master_is_there(kit, master):
    address = master.address
    _, sink = kit.subscribed(master)
    master.close()
    sink.wait(Disconnected)
    host, port = address.split(":")
    back = socket.create_server((host, int(port)))
    back.settimeout(5)
    accepted, _ = back.accept()
    assert b"SUBSCRIBE" in accepted.recv(65536)
    back.close()
    accepted.close()


def test_a_name_that_does_not_resolve_is_tried_again(kit, master):
    cluster, sink = kit.cluster("no-such-host.invalid:5050", master.address), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)
    assert "no-such-host.invalid" in sink.of(Disconnected)[0].why


def test_a_redirect_is_followed(kit, master):
    other = kit.master()
    other.subscribe_script = [kit.reply(307, "", [f"Location: //{master.address}/api/v1/scheduler"])]
    cluster, sink = kit.cluster(other.address), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)
    assert len(master.subscribes) == 1


def test_masters_that_redirect_to_each_other_do_not_spin(kit, master):
    other = kit.master()
    master.subscribe_script = [kit.reply(307, "", [f"Location: //{other.address}"])] * 1000
    other.subscribe_script = [kit.reply(307, "", [f"Location: //{master.address}"])] * 1000
    cluster = kit.cluster(master.address, backoff_first_s=0.4)
    cluster.start(None, kit.Recorder())
    time.sleep(0.5)
    assert len(master.subscribes) + len(other.subscribes) <= 20
    master.subscribe_script = []
    kit.wait_for(lambda: master.streams)


def test_a_redirect_to_a_dead_master_comes_back_to_the_configured_one(kit, master):
    dead = kit.master()
    dead.close()
    master.subscribe_script = [kit.reply(307, "", [f"Location: //{dead.address}"])]
    cluster, sink = kit.cluster(master.address), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)


def test_masters_are_tried_in_turn(kit, master):
    dead = kit.master()
    dead.close()
    cluster, sink = kit.cluster(dead.address, master.address), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)


def test_a_subscription_that_is_refused_with_401_goes_on_trying_and_says_why(kit, master):
    master.subscribe_script = [kit.reply(401, "who are you")] * 3
    cluster, sink = kit.cluster(master.address, backoff_max_s=0.1), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)
    assert "401" in sink.of(Disconnected)[0].why


@pytest.mark.parametrize("status", [401, 403])
def test_f30_wrong_credentials_are_told_in_one_line_and_not_tried_quickly(kit, master, status):
    master.subscribe_script = [kit.reply(status, "")] * 50
    cluster, sink = kit.cluster(master.address, backoff_first_s=0.001, backoff_max_s=0.3), kit.Recorder()
    cluster.start(None, sink)
    why = sink.wait(Disconnected).why
    time.sleep(0.5)

    assert f"refuses the framework's credentials (HTTP {status}); correct mesos.principal and mesos.secret_file" in why
    assert len(master.subscribes) <= 3
    assert len(sink.of(Disconnected)) == 1, "the same reason is told once"


def test_a_master_that_does_not_answer_subscribe_is_left(kit, master):
    master.subscribe_script = [lambda sock: None]
    cluster, sink = kit.cluster(master.address, subscribe_timeout_s=0.2), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)
    assert "did not answer SUBSCRIBE" in sink.of(Disconnected)[0].why


def test_a_stream_that_is_not_json_is_left(kit, master):
    _, sink = kit.subscribed(master)
    master.send_raw(b"6\r\n4\nnope\r\n")
    sink.wait(Subscribed, 2)


def test_f35_a_displaced_scheduler_stops_for_good(kit, master):
    _, sink = kit.subscribed(master)
    master.send(error("Framework failed over"))
    master.close_stream()
    sink.wait(FrameworkDisplaced)
    time.sleep(0.2)
    assert len(master.subscribes) == 1
    assert [type(e) for e in sink.events] == [Subscribed, FrameworkDisplaced]


def test_f25_a_removed_framework_stops_for_good(kit, master):
    _, sink = kit.subscribed(master)
    master.send(error("Framework has been removed"))
    assert sink.wait(FrameworkRemoved).why == "Framework has been removed"
    time.sleep(0.2)
    assert len(master.subscribes) == 1


def test_another_error_event_is_reported_and_tried_again(kit, master):
    _, sink = kit.subscribed(master)
    master.send(error("Role 'x' is not present in the master's --roles"))
    sink.wait(Subscribed, 2)
    assert "Role 'x'" in sink.of(Disconnected)[0].why


def test_f02_a_replica_that_may_not_lead_does_not_take_the_framework_back(kit, master):
    may = [True]
    _, sink = kit.subscribed(master, may_subscribe=lambda: may[0])
    may[0] = False
    master.close_stream()
    sink.wait(Disconnected)
    time.sleep(0.3)
    assert len(master.subscribes) == 1
    may[0] = True
    sink.wait(Subscribed, 2)


def test_stop_leaves_without_a_teardown_and_can_be_started_again(kit, master):
    cluster, sink = kit.subscribed(master)
    cluster.stop()
    cluster.stop()
    assert master.types() == []
    again = kit.Recorder()
    cluster.start("fw-1", again)
    again.wait(Subscribed)
    assert sink.of(Disconnected) == []


def test_stop_returns_soon_while_the_master_hangs(kit, master):
    cluster = kit.cluster(master.address, subscribe_timeout_s=60.0)
    master.subscribe_script = [lambda sock: None]
    cluster.start(None, kit.Recorder())
    kit.wait_for(lambda: master.subscribes)
    began = time.monotonic()
    cluster.stop()
    assert time.monotonic() - began < 1.0
