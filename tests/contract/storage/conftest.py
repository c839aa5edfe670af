"""Two storages for one suite: a directory, and a bucket on a real S3 server (moto's) over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from integration.flink.config import S3Settings
from integration.flink.s3 import S3Storage
from integration.flink.storage import Storage, Storages


@dataclass
class Place:
    """Storage under test, and a second way to write into it."""

    storage: Storage
    root: str
    bucket: Any = None
    """boto3's; None for a directory."""

    def write(self, name: str, data: bytes = b"") -> str:
        uri = f"{self.root}/{name}"
        if self.bucket is not None:
            self.bucket.put_object(Key=uri.split("/", 3)[3], Body=data)
        else:
            path = Path(uri.removeprefix("file:"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return uri

    def snapshot(self, name: str, number: int) -> str:
        """A complete snapshot whose header has this checkpoint id."""
        header = bytes.fromhex("4960672d") + (6).to_bytes(4, "big") + number.to_bytes(8, "big")
        self.write(f"{name}/_metadata", header + b"state")
        self.write(f"{name}/part", b"rows")
        return f"{self.root}/{name}"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """It answers with at most this many names at once, so that whoever asks has to go on asking."""
    moto = ThreadedMotoServer("127.0.0.1", 0)
    moto.start()
    host, port = moto.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
        yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As an operator has them: in a shared credentials file that its environment names."""
    file = tmp_path_factory.mktemp("credentials") / "credentials"
    file.write_text("[default]\naws_access_key_id = weir\naws_secret_access_key = not-a-secret\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def bucket(server: str, credentials: None) -> Any:
    return boto3.resource("s3", endpoint_url=server, region_name="us-east-1").create_bucket(Bucket="weir-test")


@pytest.fixture(scope="module")
def store(server: str, credentials: None) -> S3Storage:
    return S3Storage(S3Settings(endpoint=server, path_style=True), timeout_s=5.0)


@pytest.fixture
def s3(store: S3Storage, bucket: Any) -> Place:
    """A prefix of its own in the bucket."""
    return Place(Storages(store), f"s3://{bucket.name}/{uuid4().hex}/weir", bucket)


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        found: Place = request.getfixturevalue("s3")
        return found
    (tmp_path / "storage").mkdir()
    return Place(Storages(), f"file:{tmp_path}/storage")
