"""The parts of the containers module that need no engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from integration.containers import EngineUnavailable, SpecRefused, UnknownMember, WeirStack
from integration.containers.cleanup import is_orphan, owner_mark
from integration.containers.engine import connect
from integration.containers.jobs import JobClient, poll
from integration.containers.network import script


@pytest.mark.parametrize("counts", [{"zookeepers": 2}, {"zookeepers": 0}, {"agents": 99}, {"replicas": -1}])
def test_impossible_numbers_are_refused_before_anything_starts(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(counts))}={next(iter(counts.values()))}"):
        WeirStack(**counts)  # type: ignore[arg-type]


def test_without_an_engine_the_error_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineUnavailable, match=r"unix:///nowhere/docker\.sock.*integration\.containers engine"):
        connect()
    assert docker.__version__


def test_a_member_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(UnknownMember, match="no member agent-9"):
        WeirStack().kill("agent-9")


def test_a_partition_is_the_same_however_often_it_is_set() -> None:
    (text,) = script({"10.0.0.2", "10.0.0.1"})
    lines = text.splitlines()
    assert "-F WEIR" in lines[0], "rules of before are gone"
    assert lines[-4:] == [
        "iptables -w -A WEIR -s 10.0.0.1 -j DROP",
        "iptables -w -A WEIR -d 10.0.0.1 -j DROP",
        "iptables -w -A WEIR -s 10.0.0.2 -j DROP",
        "iptables -w -A WEIR -d 10.0.0.2 -j DROP",
    ]


def test_a_living_owner_is_no_orphan() -> None:
    assert not is_orphan(owner_mark())


def test_an_ended_owner_is_an_orphan() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = owner_mark(child.pid)
    assert not is_orphan(mark)
    child.communicate(b"\n")
    assert is_orphan(mark)


def test_a_process_that_got_the_same_pid_later_is_not_the_owner() -> None:
    assert is_orphan(f"{socket.gethostname()}:{os.getpid()}:1")


@pytest.mark.parametrize("mark", ["another-host:1:1", "kept", ""])
def test_owners_that_cannot_be_judged_are_left_alone(mark: str) -> None:
    assert not is_orphan(mark)


class Tree(JobClient):
    """Keeps what would be written."""

    def __init__(self) -> None:
        super().__init__("nowhere:2181")
        self.written: dict[str, bytes] = {}

    def _write(self, path: str, data: bytes) -> None:
        self.written[path] = data


def test_a_file_is_applied_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "orders.yaml"
    path.write_text('flinkVersion: "2.2"\njob: {type: python, uri: "file:///srv/orders.py"}\n')
    tree = Tree()
    assert tree.apply(path) == "orders"
    assert list(tree.written) == ["/weir/jobs/orders"]
    assert b'"flinkVersion": "2.2"' in tree.written["/weir/jobs/orders"]


def test_an_object_needs_a_name() -> None:
    with pytest.raises(SpecRefused, match="name="):
        Tree().apply({"flinkVersion": "2.2"})


def test_a_spec_that_weir_would_refuse_is_not_written() -> None:
    tree = Tree()
    with pytest.raises(SpecRefused, match="did you mean parallelism"):
        tree.apply({"flinkVersion": "2.2", "job": {"type": "jar", "uri": "file:///j.jar", "paralelism": 2}}, "orders")
    assert not tree.written


def test_it_is_written_all_the_same_when_the_refusal_is_what_is_tested() -> None:
    tree = Tree()
    tree.apply({"flinkVersion": "2.2", "job": {"paralelism": 2}}, "orders", check=False)
    assert b"paralelism" in tree.written["/weir/jobs/orders"]


def test_a_wait_in_vain_says_what_was_seen_last() -> None:
    with pytest.raises(Exception, match="orders is not STABLE after 0 s: UPGRADING: waiting"):
        poll(lambda: None, lambda: "orders is not STABLE", lambda: "UPGRADING: waiting", 0.0)
