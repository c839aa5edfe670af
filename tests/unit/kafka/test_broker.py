"""What a broker is started with, and what counts as an answer of one. No broker is started here."""

from __future__ import annotations

import base64
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.local.kafka import MAX_TRANSACTION_TIMEOUT_MS, cluster_id, server_properties, serves


def properties() -> dict[str, str]:
    text = server_properties(Path("/srv/kafka/data"), 9092, 9093)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_it_is_its_own_controller_on_the_loopback_interface_only() -> None:
    found = properties()
    assert found["process.roles"] == "broker,controller"
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert found["controller.quorum.voters"] == f"{found['node.id']}@127.0.0.1:9093"
    assert found["log.dirs"] == "/srv/kafka/data"


def test_one_broker_can_serve_transactions_and_groups() -> None:
    found = properties()
    for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert found[f"{topic}.replication.factor"] == "1"
    assert found["transaction.state.log.min.isr"] == "1"
    assert int(found["transaction.max.timeout.ms"]) == MAX_TRANSACTION_TIMEOUT_MS == 15 * 60 * 1000


def test_a_cluster_id_is_what_kafka_takes_for_one() -> None:
    for _ in range(200):
        text = cluster_id()
        assert len(text) == 22
        assert not text.startswith("-")
        assert len(base64.urlsafe_b64decode(text + "==")) == 16


@contextmanager
def server(answer: bytes) -> Iterator[tuple[str, int]]:
    """Answers one request with `answer` and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            link, _ = listening.accept()
            with link:
                link.recv(1024)
                link.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        host, port = listening.getsockname()
        yield host, port
        thread.join()


def test_an_answer_to_its_question_is_a_broker() -> None:
    with server(struct.pack(">iihi", 10, 7, 0, 0)) as address:
        assert serves(address)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack(">iihi", 10, 7, 35, 0), struct.pack(">ii", 10, 7)],
    ids=["nothing", "another server", "an error", "half an answer"],
)
def test_anything_else_is_not(answer: bytes) -> None:
    with server(answer) as address:
        assert not serves(address)


def test_nobody_listening_is_not_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    assert not serves(address)
