"""Cutting connections on the loopback device: both directions, standing connections too, and nothing is left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integration.local.partition import Partitions, unavailable
from reconciler.app.demo.story import poll

WHY_NOT = unavailable()
pytestmark = [pytest.mark.stack, pytest.mark.skipif(WHY_NOT is not None, reason=f"no partitions: {WHY_NOT}")]
WAIT_S = 60.0

# Says "up", then one line for each answer of a server that echoes; a second without an answer is "silent".
CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as link:
    link.settimeout(1.0)
    print("up", flush=True)
    for line in sys.stdin:
        link.sendall(line.encode())
        try:
            print(link.recv(100).decode().strip(), flush=True)
        except TimeoutError:
            print("silent", flush=True)
"""
OWNER = """
import time
from integration.local.partition import Partitions
with Partitions() as cuts:
    cuts.cut("member", [1])
    print("cut", flush=True)
    time.sleep(600)
"""


@contextmanager
def client(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def say(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


def hear(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def rules(pid: int) -> list[str]:
    done = subprocess.run(["iptables", "-w", "-S"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if f"weir-out-{pid}" in line or f"weir-in-{pid}" in line]


def test_only_the_member_is_cut_off_and_its_connection_outlives_that() -> None:
    with Partitions() as cuts, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        plain = [sys.executable, "-c", CLIENT, str(port)]
        with client(cuts.argv("member", plain)) as member, client(plain) as other:
            links = [server.accept()[0] for _ in range(2)]
            assert (hear(member), hear(other)) == ("up", "up")
            cuts.cut("member", [port])
            say(member, "one")
            say(other, "two")
            poll("the other one's line arrives", lambda: echo(links), WAIT_S)
            assert (hear(member), hear(other)) == ("silent", "two")
            cuts.heal("member")
            poll("what TCP kept arrives", lambda: echo(links), WAIT_S)
            say(member, "three")
            assert hear(member) == "one"
            for link in links:
                link.close()


def echo(links: list[socket.socket]) -> bool:
    """Send back what has arrived on any of them."""
    for link in links:
        link.settimeout(0.5)
        try:
            data = link.recv(100)
        except TimeoutError:
            continue
        link.sendall(data)
        return True
    return False


def test_the_rules_go_with_their_owner_even_when_it_is_killed() -> None:
    with client([sys.executable, "-c", OWNER]) as owner:
        assert hear(owner) == "cut"
        assert len(rules(owner.pid)) >= 5, "two chains, two jumps, and what drops"
        owner.send_signal(signal.SIGKILL)
        poll("no rule is left", lambda: not rules(owner.pid), WAIT_S)
