"""What only an object store can do wrong. No answer, no bucket and no access are never "nothing there" (f43, f54)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from integration.flink.config import S3Settings
from integration.flink.s3 import S3Storage
from integration.flink.storage import Storage, StorageError, Storages

Place = Any
Ask = Callable[[Storage, str], object]

QUESTIONS: dict[str, Ask] = {
    "root": lambda storage, root: storage.require_root(root),
    "names": lambda storage, root: storage.names(f"{root}/a"),
    "is_file": lambda storage, root: storage.is_file(f"{root}/a/_metadata"),
    "read": lambda storage, root: storage.read(f"{root}/a/_metadata", 16),
    "remove": lambda storage, root: storage.remove(f"{root}/a"),
}
every_question = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)


@every_question
def test_f54_a_bucket_that_is_missing_is_an_error(s3: Place, ask: Ask) -> None:
    with pytest.raises(StorageError, match="bucket"):
        ask(s3.storage, "s3://no-such-bucket/weir")


@every_question
def test_f54_a_server_that_is_down_is_an_error(s3: Place, ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(StorageError, match="does not answer"):
            ask(impatient(taken.getsockname()[1]), s3.root)


@pytest.fixture
def silent(credentials: None) -> Iterator[int]:
    """The port of a server that accepts connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


@every_question
def test_f54_a_server_that_says_nothing_is_an_error_in_time(silent: int, ask: Ask) -> None:
    with pytest.raises(StorageError, match="does not answer"):
        ask(impatient(silent), "s3://bucket/weir")


def impatient(port: int) -> Storage:
    settings = S3Settings(endpoint=f"http://127.0.0.1:{port}", path_style=True)
    return Storages(S3Storage(settings, timeout_s=0.3, attempts=1))


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "InternalError", "404"])
@pytest.mark.parametrize(
    ("ask", "operation"),
    [
        (QUESTIONS["names"], "list_objects_v2"),
        (QUESTIONS["is_file"], "list_objects_v2"),
        (QUESTIONS["read"], "get_object"),
        (QUESTIONS["remove"], "list_objects_v2"),
    ],
    ids=["names", "is_file", "read", "remove"],
)
def test_f54_a_refusal_is_an_error_that_says_so(credentials: None, ask: Ask, operation: str, code: str) -> None:
    storage = S3Storage(S3Settings(region="eu-central-1"))
    with Stubber(storage._client) as stub:
        stub.add_client_error(operation, code, "because")
        with pytest.raises(StorageError, match=r"refuses \w+: because"):
            ask(storage, "s3://bucket/weir")


def test_what_could_not_be_removed_is_an_error(credentials: None) -> None:
    storage = S3Storage(S3Settings(region="eu-central-1"))
    with Stubber(storage._client) as stub:
        stub.add_response("list_objects_v2", {"Contents": [{"Key": "weir/a/x"}]})
        stub.add_response("delete_objects", {"Errors": [{"Key": "weir/a/x", "Message": "locked"}]})
        with pytest.raises(StorageError, match="weir/a/x cannot be removed: locked"):
            storage.remove("s3://bucket/weir/a")


def test_without_credentials_nothing_is_known(server: str, credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/no/such/file")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(StorageError, match="credentials"):
        S3Storage(S3Settings(endpoint=server, path_style=True)).names("s3://bucket/weir")


def test_more_names_and_keys_than_fit_into_one_answer(s3: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integration.flink.s3._DELETED_AT_ONCE", 2)
    for number in range(11):
        s3.write(f"many/{number:02}")

    answered = s3.bucket.meta.client.list_objects_v2(Bucket=s3.bucket.name)
    assert answered["IsTruncated"]
    assert s3.storage.names(f"{s3.root}/many") == [f"{number:02}" for number in range(11)]
    s3.storage.remove(f"{s3.root}/many")
    assert s3.storage.names(f"{s3.root}/many") == []


def test_the_marker_that_flink_puts_for_a_directory_is_no_name(s3: Place) -> None:
    s3.write("dir/")
    s3.write("dir/x")

    assert s3.storage.names(f"{s3.root}/dir") == ["x"]
    assert s3.storage.names(s3.root) == ["dir"]
    s3.storage.remove(f"{s3.root}/dir")
    assert s3.storage.names(s3.root) == []


def test_a_whole_bucket_is_never_removed(s3: Place) -> None:
    uri = s3.write("x")

    with pytest.raises(StorageError, match="never removed"):
        s3.storage.remove(f"s3://{s3.bucket.name}/")
    assert s3.storage.is_file(uri)


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "s3://b", "s3://bucket//x", "s3://Bucket/x", "s3:bucket/x"])
def test_what_is_no_s3_uri_is_refused(s3: Place, uri: str) -> None:
    with pytest.raises(StorageError, match="not an S3 URI"):
        s3.storage.names(uri)


def test_without_an_object_store_in_the_configuration_its_uris_are_refused() -> None:
    with pytest.raises(StorageError, match=r"\[storage\.s3\]"):
        Storages().names("s3://bucket/weir")
