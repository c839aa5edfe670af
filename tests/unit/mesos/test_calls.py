"""Calls to the master: what is sent, and what is known when something goes wrong."""

from __future__ import annotations

import threading
import time

import pytest

from integration.mesos.errors import AcceptUnclear, CallRefused
from reconciler.model.events import Disconnected, FrameworkDisplaced, OffersReceived, Subscribed, TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import FetchUri, TaskInfo
from reconciler.ports import ClusterUnavailable


def task(task_id="t1", **extra):
    values = {
        "task_id": task_id, "name": task_id, "agent_id": "a1", "cpus": 1.0, "mem_mb": 512.0, "argv": ("sleep", "9"),
    }  # fmt: skip
    return TaskInfo(**(values | extra))


def offered(kit, master, *offers, **config):
    cluster, sink = kit.subscribed(master, **config)
    master.send({"type": "OFFERS", "offers": {"offers": list(offers)}})
    sink.wait(OffersReceived)
    return cluster, sink


def launched(master):
    """The task infos of every ACCEPT."""
    return [
        info
        for call in master.of("ACCEPT")
        for operation in call["accept"]["operations"]
        for info in operation["launch"]["task_infos"]
    ]


def test_several_tasks_go_into_one_accept_with_exact_resources(kit, master):
    cluster, _ = offered(kit, master, kit.offer("o1"), kit.offer("o2"))
    cluster.accept(["o1", "o2"], [task("t1", cpus=6.0, ports=(31000, 31001, 31005)), task("t2", cpus=2.0)])
    call = master.of("ACCEPT")[0]
    assert len(master.calls) == 1
    assert call["accept"]["offer_ids"] == [{"value": "o1"}, {"value": "o2"}]
    first, second = launched(master)
    amounts = [(r["name"], r["scalar"]["value"]) for r in first["resources"] if "scalar" in r]
    assert amounts == [("cpus", 4.0), ("cpus", 2.0), ("mem", 512.0)]
    (entry,) = [r for r in first["resources"] if r["name"] == "ports"]
    assert entry["ranges"]["range"] == [{"begin": 31000, "end": 31001}, {"begin": 31005, "end": 31005}]
    assert second["task_id"] == {"value": "t2"}
    assert master.headers[-1]["mesos-stream-id"] == "stream-1"


def test_a_task_is_described_without_a_shell(kit, master):
    cluster, _ = offered(kit, master, kit.offer())
    cluster.accept(
        ["o1"],
        [
            task(
                argv=("/bin/sh", "-c", "echo $HOME"), env={"A": "1"}, user="flink", image="flink:2.2",
                labels={"weir.job": "j"}, uris=(FetchUri("file:///x.jar", output_file="job.jar"),), kill_grace_s=2.5,
            )
        ],
    )  # fmt: skip
    info = launched(master)[0]
    assert info["command"] == {
        "shell": False,
        "value": "/bin/sh",
        "arguments": ["/bin/sh", "-c", "echo $HOME"],
        "environment": {"variables": [{"name": "A", "type": "VALUE", "value": "1"}]},
        "user": "flink",
        "uris": [{"value": "file:///x.jar", "extract": False, "executable": False, "output_file": "job.jar"}],
    }
    assert info["labels"] == {"labels": [{"key": "weir.job", "value": "j"}]}
    assert info["container"]["mesos"]["image"] == {"type": "DOCKER", "docker": {"name": "flink:2.2"}}
    assert info["kill_policy"] == {"grace_period": {"nanoseconds": 2_500_000_000}}


def test_f29_an_offer_that_is_gone_is_answered_by_dropped_and_the_others_are_declined(kit, master):
    cluster, sink = offered(kit, master, kit.offer("o1"), kit.offer("o2"))
    master.send({"type": "RESCIND", "rescind": {"offer_id": {"value": "o1"}}})
    kit.wait_for(lambda: len(sink.events) == 3)
    cluster.accept(["o1", "o2"], [task()])
    update = sink.wait(TaskUpdate)
    assert (update.state, update.reason, update.uuid) == (TaskState.DROPPED, "REASON_INVALID_OFFERS", None)
    assert master.types() == ["DECLINE"]
    assert master.calls[0]["decline"]["offer_ids"] == [{"value": "o2"}]


def test_f29_an_offer_is_used_once(kit, master):
    cluster, sink = offered(kit, master, kit.offer("o1"))
    cluster.accept(["o1"], [task("t1")])
    cluster.accept(["o1"], [task("t2")])
    assert sink.wait(TaskUpdate).task_id == "t2"
    assert len(master.of("ACCEPT")) == 1


def test_f29_offers_of_a_lost_stream_are_not_used(kit, master):
    cluster, sink = offered(kit, master, kit.offer("o1"))
    master.close_stream()
    sink.wait(Subscribed, 2)
    cluster.accept(["o1"], [task()])
    assert sink.wait(TaskUpdate).state is TaskState.DROPPED


def test_a_task_that_does_not_fit_is_an_error_and_the_rest_is_launched(kit, master):
    cluster, sink = offered(kit, master, kit.offer("o1"))
    cluster.accept(["o1"], [task("big", cpus=64.0), task("other-agent", agent_id="a9"), task("fits")])
    assert [i["task_id"]["value"] for i in launched(master)] == ["fits"]
    sink.wait(TaskUpdate, 2)
    assert [(u.task_id, u.state) for u in sink.of(TaskUpdate)] == [
        ("big", TaskState.ERROR),
        ("other-agent", TaskState.ERROR),
    ]


def test_offers_of_different_roles_are_accepted_separately(kit, master):
    cluster, _ = offered(kit, master, kit.offer("o1", role="a"), kit.offer("o2", role="b"), roles=("a", "b"))
    cluster.accept(["o1", "o2"], [task("t1", cpus=3.0), task("t2", cpus=3.0)])
    assert [[o["value"] for o in call["accept"]["offer_ids"]] for call in master.of("ACCEPT")] == [["o1"], ["o2"]]


def test_f19_calls_while_disconnected_are_refused_loudly(kit, master):
    cluster = kit.cluster(master.address)
    for call in (
        lambda: cluster.accept(["o"], [task()]),
        lambda: cluster.decline(["o"], 5.0),
        cluster.suppress,
        cluster.revive,
        lambda: cluster.kill("t", None, 1.0),
        lambda: cluster.acknowledge(TaskUpdate("t", TaskState.RUNNING, "a", uuid="dQ==")),
        lambda: cluster.reconcile([]),
    ):
        with pytest.raises(ClusterUnavailable):
            call()
    _, sink = cluster.start(None, recorder := kit.Recorder()), recorder
    sink.wait(Subscribed)
    master.subscribe_script = [kit.reply(503)] * 1000
    master.close_stream()
    sink.wait(Disconnected)
    with pytest.raises(ClusterUnavailable, match="not subscribed"):
        cluster.reconcile([])


def test_a_stale_connection_is_replaced_for_idempotent_calls(kit, master):
    cluster, _ = kit.subscribed(master)
    cluster.revive()
    master.answers["KILL"] = ["close"]  # dies after the request was read: nobody can see it coming
    cluster.kill("t1", "a1", 3.0)
    assert master.types() == ["REVIVE", "KILL", "KILL"]
    master.close_calls()
    cluster.suppress()
    assert master.types()[-1] == "SUPPRESS"


def test_f17_an_accept_without_an_answer_is_unclear_and_never_repeated(kit, master):
    cluster, sink = offered(kit, master, kit.offer("o1"), kit.offer("o2"))
    cluster.revive()
    master.answers["ACCEPT"] = ["close"]
    with pytest.raises(AcceptUnclear):
        cluster.accept(["o1"], [task("t1")])
    with pytest.raises(AcceptUnclear, match="reconcile"):
        cluster.accept(["o2"], [task("t1")])
    assert len(master.of("ACCEPT")) == 1
    assert sink.of(TaskUpdate) == []


def test_an_accept_does_not_bet_on_an_idle_connection(kit, master):
    cluster, _ = offered(kit, master, kit.offer("o1"))
    cluster.revive()
    master.close_calls()
    cluster.accept(["o1"], [task("t1")])
    assert master.call_connections == 2


def test_an_accept_that_cannot_connect_was_certainly_not_sent(kit, master):
    cluster, _ = offered(kit, master, kit.offer("o1"))
    cluster._driver._channel.close()
    with pytest.raises(ClusterUnavailable) as caught:
        cluster.accept(["o1"], [task("t1")])
    assert not isinstance(caught.value, AcceptUnclear)


def test_a_hung_master_blocks_a_call_only_for_its_time_out(kit, master):
    cluster, _ = kit.subscribed(master, call_timeout_s=0.3)
    master.answers["RECONCILE"] = ["hang"]
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match=r"no answer within 0\.3 s"):
        cluster.reconcile([("t1", "a1")])
    assert time.monotonic() - began < 1.0


def test_an_answer_that_drips_is_cut_off_at_the_same_time_out(kit, master):
    cluster, _ = kit.subscribed(master, call_timeout_s=0.4)
    drip = threading.Event()

    def answer(sock, kind):
        for byte in b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n":
            if drip.wait(0.1):
                return False
            sock.sendall(bytes([byte]))
        return True

    master._answer = answer
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable):
        cluster.revive()
    assert time.monotonic() - began < 1.5
    drip.set()


def test_stop_cuts_a_hanging_call(kit, master):
    cluster, _ = kit.subscribed(master, call_timeout_s=30.0)
    master.answers["REVIVE"] = ["hang"]
    raised = []

    def call():
        try:
            cluster.revive()
        except ClusterUnavailable as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    kit.wait_for(lambda: master.of("REVIVE"))
    began = time.monotonic()
    cluster.stop()
    thread.join(2.0)
    assert raised
    assert time.monotonic() - began < 2.0


def test_a_wrong_call_is_refused_with_the_masters_words(kit, master):
    cluster, _ = kit.subscribed(master)
    master.answers["KILL"] = [(400, "Failed to validate scheduler::Call: bad")]
    with pytest.raises(CallRefused, match="bad"):
        cluster.kill("t", None, 1.0)


def test_f35_a_call_on_a_displaced_stream_tells_of_the_displacement(kit, master):
    cluster, sink = kit.subscribed(master)
    master.answers["REVIVE"] = [
        (400, "The stream ID 'x' included in this request didn't match the stream ID currently associated with it")
    ]
    with pytest.raises(ClusterUnavailable):
        cluster.revive()
    sink.wait(FrameworkDisplaced)
    time.sleep(0.2)
    assert len(master.subscribes) == 1
    with pytest.raises(ClusterUnavailable, match="displaced"):
        cluster.revive()


@pytest.mark.parametrize(("status", "text"), [(503, ""), (307, ""), (403, "Framework is not subscribed")])
def test_a_master_that_does_not_know_us_is_subscribed_with_again(kit, master, status, text):
    cluster, sink = kit.subscribed(master)
    master.answers["REVIVE"] = [(status, text)]
    with pytest.raises(ClusterUnavailable):
        cluster.revive()
    sink.wait(Subscribed, 2)


def test_f22_only_updates_with_a_uuid_are_acknowledged(kit, master):
    cluster, _ = kit.subscribed(master)
    cluster.acknowledge(TaskUpdate("t1", TaskState.UNREACHABLE, "a1"))
    cluster.acknowledge(TaskUpdate("t1", TaskState.RUNNING, "a1", uuid="dXVpZA=="))
    (call,) = master.calls
    assert call["acknowledge"] == {
        "agent_id": {"value": "a1"}, "task_id": {"value": "t1"}, "uuid": "dXVpZA==",
    }  # fmt: skip


def test_kill_and_reconcile_name_the_agent(kit, master):
    cluster, _ = kit.subscribed(master)
    cluster.kill("t1", "a1", 5.0)
    cluster.reconcile([("t1", "a1"), ("t2", None)])
    cluster.reconcile([])
    kill, explicit, implicit = master.calls
    assert kill["kill"] == {
        "task_id": {"value": "t1"}, "agent_id": {"value": "a1"},
        "kill_policy": {"grace_period": {"nanoseconds": 5_000_000_000}},
    }  # fmt: skip
    assert explicit["reconcile"]["tasks"] == [
        {"task_id": {"value": "t1"}, "agent_id": {"value": "a1"}},
        {"task_id": {"value": "t2"}},
    ]
    assert implicit["reconcile"]["tasks"] == []


def test_reconciliation_goes_out_in_batches(kit, master):
    cluster, _ = kit.subscribed(master)
    cluster.reconcile([(f"t{i}", "a1") for i in range(2500)])
    assert [len(call["reconcile"]["tasks"]) for call in master.calls] == [1000, 1000, 500]


def test_f36_suppression_survives_a_re_subscription_until_revived(kit, master):
    cluster, sink = kit.subscribed(master, roles=("flink",))
    cluster.suppress()
    master.close_stream()
    sink.wait(Subscribed, 2)
    assert master.subscribes[1]["subscribe"]["suppressed_roles"] == ["flink"]
    cluster.revive()
    master.close_stream()
    sink.wait(Subscribed, 3)
    assert "suppressed_roles" not in master.subscribes[2]["subscribe"]


def test_two_drivers_do_not_share_credentials(kit, master):
    first, _ = kit.subscribed(master, principal="p", secret="s")
    first.revive()
    other = kit.master()
    second, _ = kit.subscribed(other)
    second.revive()
    assert "authorization" in master.headers[-1]
    assert all("authorization" not in headers for headers in other.headers)


def test_no_call_ever_is_a_teardown(kit, master):
    cluster, _ = kit.subscribed(master)
    driver = cluster._driver
    with pytest.raises(RuntimeError, match="TEARDOWN"):
        driver._send({"type": "TEARDOWN"})
    driver._teardown()
    driver.abort()
    assert master.types() == []


def test_calls_from_many_threads_all_arrive(kit, master):
    cluster, _ = kit.subscribed(master)
    threads = [threading.Thread(target=cluster.kill, args=(f"t{i}", None, 1.0)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(master.of("KILL")) == 32


def test_f37_an_inverse_offer_is_answered_with_how_long_the_answer_holds(kit, master):
    cluster, _ = kit.subscribed(master)
    cluster.decline_inverse(["i1"], 10.0)
    cluster.accept_inverse(["i2"], 10.0)
    assert master.types() == ["DECLINE_INVERSE_OFFERS", "ACCEPT_INVERSE_OFFERS"]
    said = [call[call["type"].lower()] for call in master.calls]
    assert [each["inverse_offer_ids"] for each in said] == [[{"value": "i1"}], [{"value": "i2"}]]
    assert said[0]["filters"] == {"refuse_seconds": 10.0}
