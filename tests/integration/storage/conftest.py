"""An installation whose whole storage is a bucket: HA data, checkpoints and savepoints on a local S3 server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from integration.local.flink_plugins import S3, fetch_plugin
from integration.local.packages import find_java
from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.story import poll
from tests.integration.jobs.conftest import WAIT_S, World

ROOT = "/weir-s3"
BUCKET = "weir"
ACCESS_KEY, SECRET_KEY = "weir-access", "weir-not-so-secret"
SERVER = "s3"


@dataclass
class Bucket:
    """The bucket, seen with a client of the test's own."""

    client: Any
    uri: str

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"storage/{prefix}")
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def has(self, uri: str) -> bool:
        """Whether a snapshot is complete."""
        key = uri.removeprefix(f"s3://{BUCKET}/storage/")
        return f"storage/{key}/_metadata" in self.keys(key)


@pytest.fixture(scope="package")
def bucket(stack: LocalStack) -> Bucket:
    """A server that the stack supervises like its own, so that tests can pause it."""
    endpoint = f"http://127.0.0.1:{stack.port(7)}"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(stack.port(7))]
    stack.add_service(SERVER, command, address=endpoint)
    poll("the S3 server answers", lambda: answers(endpoint), WAIT_S)
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    client.create_bucket(Bucket=BUCKET)
    return Bucket(client, endpoint)


def answers(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint, timeout=2.0, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def settings(stack: LocalStack, bucket: Bucket, directory: Path) -> dict[str, dict[str, Any]]:
    """Credentials of the agents are in files; those of the operator are in a file that its environment names."""
    flink, java = stack.flink["2.2"], find_java()
    for name, value in (("access-key", ACCESS_KEY), ("secret-key", SECRET_KEY)):
        (directory / name).write_text(f"{value}\n")
    return {
        "storage": {"uri": f"s3://{BUCKET}/storage"},
        "storage.s3": {
            "endpoint": bucket.uri,
            "path_style": True,
            "access_key_file": str(directory / "access-key"),
            "secret_key_file": str(directory / "secret-key"),
        },
        'flink.distributions."2.2"': {
            "version": flink.version,
            "home": str(flink.home),
            "python": str(flink.python),
            "java": java.path if java else "java",
            "plugins": [str(fetch_plugin(S3, "2.2", stack.config.cache))],
        },
    }


@pytest.fixture(scope="package")
def world(stack: LocalStack, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("s3")
    shared = directory / "credentials"
    shared.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    with (
        pytest.MonkeyPatch.context() as environment,
        Installation(
            stack,
            directory,
            root=ROOT,
            replicas=1,
            prefix="s3-replica",
            settings=settings(stack, bucket, directory),
        ) as installation,
    ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
        environment.setenv("NO_PROXY", "127.0.0.1")
        made = World(installation, directory)
        try:
            installation.start()
            poll("a replica leads", installation.leader, WAIT_S, tick=installation.check)
            yield made
        finally:
            made.remove(*made.jobs)
            poll("its tasks have ended", lambda: not installation.live_tasks(), WAIT_S)
            installation.stop()
