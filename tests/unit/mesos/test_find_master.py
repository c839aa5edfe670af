"""Finding a master once, as a command does that has nothing but what the leader said."""

from __future__ import annotations

import socket

import pytest

from integration.mesos.detector import find_master, shown
from integration.mesos.errors import MasterAddressError


def test_the_first_master_of_a_list_that_accepts_connections_will_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        assert find_master(f"127.0.0.1:1,http://{address}") == address


def test_no_master_at_all_is_none() -> None:
    assert find_master("127.0.0.1:1") is None
    assert find_master("zk://127.0.0.1:1/mesos", timeout_s=0.2) is None


def test_what_is_shown_has_no_credentials() -> None:
    assert shown("zk://user:secret@zk1:2181,zk2/mesos") == "zk://zk1:2181,zk2:2181/mesos"
    assert shown("http://m1,m2:5051") == "m1:5050,m2:5051"
    with pytest.raises(MasterAddressError):
        shown("ftp://m1")
