"""Finding the leading master."""

from __future__ import annotations

import json
import threading
import time

import pytest
from kazoo.exceptions import ConnectionLoss, NoNodeError

from integration.mesos.detector import (
    StaticDetector,
    ZkDetector,
    detector_for,
    leading,
    master_address,
    parse_masters,
    parse_zk_url,
)
from integration.mesos.errors import MasterAddressError


class FakeZk:
    """As much of a kazoo client as the detector uses; `tree` maps child names to data, None: no node."""

    connected = True

    def __init__(self, tree=None):
        self.tree = tree
        self.silent = False
        self.reads = 0
        self._watches = []
        self._listeners = []

    def add_listener(self, listener):
        self._listeners.append(listener)

    def remove_listener(self, listener):
        self._listeners.remove(listener)

    def change(self, tree):
        self.tree = tree
        watches, self._watches = self._watches, []
        for watch in watches:
            watch(None)

    def wake(self):
        for listener in self._listeners:
            listener("CONNECTED")

    def _answer(self, value):
        client = self

        class Result:
            def get(self, timeout):
                client.reads += 1
                if client.silent:
                    raise ConnectionLoss
                if isinstance(value, Exception):
                    raise value
                return value

        return Result()

    def get_children_async(self, path, watch):
        assert path == "/mesos"
        self._watches.append(watch)
        return self._answer(NoNodeError() if self.tree is None else list(self.tree))

    def exists_async(self, path, watch):
        self._watches.append(watch)
        return self._answer(None if self.tree is None else object())

    def get_async(self, path):
        name = path.rpartition("/")[2]
        return self._answer((self.tree[name], None) if name in (self.tree or {}) else NoNodeError())


def info(port):
    return json.dumps({"address": {"ip": "127.0.0.1", "port": port, "hostname": "h"}}).encode()


class Watcher:
    def __init__(self, client, kit):
        self.seen = []
        self.kit = kit
        self.detector = ZkDetector(parse_zk_url("zk://z:2181/mesos"), client)
        self.detector.start(self.seen.append)

    def expect(self, *masters):
        self.kit.wait_for(lambda: self.seen == list(masters))


@pytest.fixture
def watch(kit):
    watchers = []

    def start(client):
        watchers.append(Watcher(client, kit))
        return watchers[-1]

    yield start
    for watcher in watchers:
        watcher.detector.stop()


def test_the_lowest_sequence_leads_and_a_change_is_told(watch):
    zk = FakeZk({"json.info_0000000007": info(7), "json.info_0000000010": info(10), "log_replicas": b""})
    watcher = watch(zk)
    watcher.expect("127.0.0.1:7")
    zk.change({"json.info_0000000010": info(10)})
    watcher.expect("127.0.0.1:7", "127.0.0.1:10")
    zk.change({})
    watcher.expect("127.0.0.1:7", "127.0.0.1:10", None)


def test_the_znode_may_be_missing_at_the_start(watch):
    zk = FakeZk(None)
    watcher = watch(zk)
    watcher.expect(None)
    zk.change({"json.info_0000000001": info(1)})
    watcher.expect(None, "127.0.0.1:1")


def test_a_silent_zookeeper_changes_nothing(watch, kit):
    zk = FakeZk({"json.info_0000000001": info(1)})
    watcher = watch(zk)
    watcher.expect("127.0.0.1:1")
    zk.silent = True
    zk.wake()
    reads = zk.reads
    kit.wait_for(lambda: zk.reads > reads)
    assert watcher.seen == ["127.0.0.1:1"]
    assert watcher.detector.failed("127.0.0.1:1") == "127.0.0.1:1"


def test_a_given_client_is_left_as_it_was(watch):
    zk = FakeZk({})
    watcher = watch(zk)
    watcher.expect(None)
    watcher.detector.stop()
    assert zk._listeners == []


def test_it_can_be_started_again(watch):
    zk = FakeZk({"json.info_0000000001": info(1)})
    watcher = watch(zk)
    watcher.expect("127.0.0.1:1")
    watcher.detector.stop()
    watcher.detector.start(watcher.seen.append)
    watcher.expect("127.0.0.1:1", "127.0.0.1:1")


def test_stop_returns_soon_when_zookeeper_is_not_there():
    detector = detector_for("zk://127.0.0.1:1/mesos")
    detector.start(lambda master: None)
    began = time.monotonic()
    detector.stop()
    assert time.monotonic() - began < 2.0


def test_children_that_are_no_contenders_do_not_lead():
    assert leading(["log_replicas", "info_0000000001"]) is None
    assert leading(["json.info_0000000010", "json.info_0000000009"]) == "json.info_0000000009"


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (info(5), "127.0.0.1:5"),
        (b'{"address":{"hostname":"h","port":1}}', "h:1"),
        (b'{"pid":"master@10.0.0.1:5050"}', "10.0.0.1:5050"),
        (b'{"hostname":"h","port":5050}', "h:5050"),
        (b"not json", None),
        (b"[]", None),
        (b"{}", None),
        (b'{"pid":"x"}', None),
    ],
)
def test_master_info_is_read_or_refused(data, address):
    assert master_address(data) == address


def test_a_zk_url_is_parsed():
    url = parse_zk_url("zk://weir:p@ss@z1:2182,z2/prod/mesos/")
    assert (url.hosts, url.path, url.credentials) == ("z1:2182,z2:2181", "/prod/mesos", "weir:p@ss")
    assert "p@ss" not in repr(url) + url.shown


@pytest.mark.parametrize(
    ("address", "say"),
    [
        ("zk://host:2181", "names no znode"),
        ("zk://host:2181/", "names no znode"),
        ("zk://host:x/mesos", "'host:x' is not host:port"),
        ("zk:///mesos", "is not host:port"),
        ("zk://user@host/mesos", "user:password@"),
        ("https://host", "TLS is a setting of its own; write host:5050 and set mesos.tls"),
        ("ftp://host", "scheme is unknown"),
        ("", "is not host:port"),
        ("a:5050,,b", "is not host:port"),
        ("a:99999", "is not host:port"),
    ],
)
def test_an_address_that_cannot_be_understood_is_one_clear_sentence(address, say):
    with pytest.raises(MasterAddressError, match=say) as caught:
        detector_for(address)
    assert "\n" not in str(caught.value)


def test_an_error_does_not_show_the_password():
    with pytest.raises(MasterAddressError) as caught:
        detector_for("zk://weir:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_with_tls_a_master_is_named_as_its_certificate_is():
    info = b'{"address": {"ip": "10.0.0.1", "hostname": "mesos-1.example.com", "port": 5050}}'
    assert master_address(info) == "10.0.0.1:5050"
    assert master_address(info, by_name=True) == "mesos-1.example.com:5050"
    assert master_address(b'{"address": {"ip": "10.0.0.1", "port": 5050}}', by_name=True) == "10.0.0.1:5050"


def test_a_list_of_masters_is_parsed_and_tried_in_turn():
    assert parse_masters("a, http://b:5051/") == ("a:5050", "b:5051")
    detector = StaticDetector(("a:1", "b:2"))
    seen = []
    detector.start(seen.append)
    assert seen == ["a:1"]
    assert detector.failed("a:1") == "b:2"
    assert detector.failed("elsewhere:9") == "b:2"
    assert detector.failed("b:2") == "a:1"


def test_no_thread_is_left_behind(watch, kit):
    zk = FakeZk({})
    watcher = watch(zk)
    watcher.expect(None)
    watcher.detector.stop()
    kit.wait_for(lambda: not [t for t in threading.enumerate() if t.name == "mesos-detector"])
