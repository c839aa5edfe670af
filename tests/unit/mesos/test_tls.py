"""TLS to the master: the same calls and events, and one line when it cannot be."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from integration.mesos.channel import CallChannel, NotSent
from integration.mesos.tls import refusal
from reconciler.model.events import Disconnected, OffersReceived, Subscribed
from state.access import Tls
from tests.integration.tls import Authority, proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "other")


@pytest.fixture
def before(authority, master):
    """Ends TLS before the scripted master, and wants no certificate."""
    host, _, port = master.address.rpartition(":")
    with proxy((host, int(port)), authority.issue("server", "127.0.0.1")) as made:
        yield made


@contextlib.contextmanager
def without_tls():
    """The address of a server that answers everything with 400."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def trusting(authority, certificate=(None, None)):
    return Tls(authority.ca_file, *certificate).context()


def test_a_framework_subscribes_and_calls_over_tls(kit, master, before, authority):
    cluster, sink = kit.cluster(before.address, tls=trusting(authority)), kit.Recorder()
    cluster.start(None, sink)

    assert sink.wait(Subscribed).master == before.address
    for _ in range(3):
        cluster.reconcile([])
    assert master.types() == ["RECONCILE"] * 3
    assert master.call_connections == 1, "the connection for calls is kept"


def test_offers_of_many_records_arrive_whole_and_at_once(kit, master, before, authority):
    cluster, sink = kit.cluster(before.address, tls=trusting(authority)), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)

    master.send({"type": "OFFERS", "offers": {"offers": [kit.offer(f"o{n}", f"a{n}") for n in range(3000)]}})

    assert len(sink.wait(OffersReceived, timeout=20).offers) == 3000


def test_a_stream_over_tls_that_ends_is_subscribed_again_with_the_same_framework(kit, master, before, authority):
    cluster, sink = kit.cluster(before.address, tls=trusting(authority)), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)

    master.close_stream()

    sink.wait(Subscribed, 2)
    assert master.subscribes[1]["framework_id"] == {"value": "fw-1"}


def test_a_call_on_a_connection_that_the_master_closed_is_sent_again(kit, master, before, authority):
    cluster, sink = kit.cluster(before.address, tls=trusting(authority)), kit.Recorder()
    cluster.start(None, sink)
    sink.wait(Subscribed)
    cluster.reconcile([])

    master.close_calls()
    cluster.reconcile([])

    assert master.types() == ["RECONCILE"] * 2


@pytest.mark.parametrize("framework_id", [None, "fw-1"], ids=["new", "known"])
@pytest.mark.parametrize("fault", ["authority", "name", "client", "plain"])
def test_f30_tls_that_cannot_be_is_told_in_one_line_and_not_tried_quickly(
    kit, master, authority, other, fault, framework_id
):
    """A new framework looks at the list of frameworks first, which is another connection."""
    host, _, port = master.address.rpartition(":")
    trusted = other if fault == "authority" else authority
    certificate = authority.issue("elsewhere", "mesos.example.com" if fault == "name" else "127.0.0.1")
    says = {
        "authority": "is not trusted (unable to get local issuer certificate); correct mesos.ca_file",
        "name": "is for another name (IP address mismatch, certificate is not valid for '127.0.0.1'); reach it by",
        "client": "; correct mesos.cert_file and mesos.key_file",
        "plain": "does not speak TLS there (wrong version number); correct its port, or do without TLS",
    }
    with (
        proxy((host, int(port)), certificate, authority.ca_file if fault == "client" else None) as before,
        without_tls() as plain,
    ):
        address = plain if fault == "plain" else before.address
        cluster = kit.cluster(address, tls=trusting(trusted), backoff_first_s=0.001, backoff_max_s=0.3)
        sink = kit.Recorder()
        cluster.start(framework_id, sink)
        why = sink.wait(Disconnected).why
        time.sleep(0.5)
        cluster.stop()

    assert why.endswith(says[fault]) or says[fault] in why
    assert address in why
    assert "\n" not in why
    assert len(sink.events) == 1, sink.events
    assert before.refused + before.handshakes <= 3 * 2, "two connections an attempt"
    assert master.subscribes == []


@pytest.mark.parametrize("framework_id", [None, "fw-1"], ids=["new", "known"])
def test_a_master_with_tls_that_is_asked_without_says_what_to_set(kit, before, framework_id):
    cluster, sink = kit.cluster(before.address), kit.Recorder()
    cluster.start(framework_id, sink)

    assert sink.wait(Disconnected).why.endswith("(if it is a port for TLS, set mesos.tls = true)")


def test_a_host_that_accepts_and_says_nothing_does_not_keep_the_driver_from_stopping(kit, authority):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = kit.cluster(f"127.0.0.1:{silent.getsockname()[1]}", tls=trusting(authority), refuse_namesake=False)
        cluster.start("fw-1", kit.Recorder())
        connection, _ = silent.accept()
        with connection:
            began = time.monotonic()
            cluster.stop()
    assert time.monotonic() - began < 2.0


def test_f30_no_byte_of_a_call_is_sent_to_a_master_that_is_not_trusted(authority, other, master, before):
    channel = CallChannel(trusting(other))

    with pytest.raises(NotSent, match="is not trusted"):
        channel.exchange(before.address, b"POST / HTTP/1.1\r\n\r\n", 5.0)

    assert master.calls == []


def test_an_error_that_is_not_about_tls_is_no_refusal():
    assert refusal("m:1", OSError("no route")) is None
    assert refusal("m:1", ssl.SSLError(1, "[SSL: TLSV1_ALERT_INTERNAL_ERROR] x")) is not None
