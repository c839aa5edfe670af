"""An object store that speaks S3, as `storage.Storage`.

A "directory" is a common prefix of keys. Presence is asked for by listing, not with HEAD: a HEAD that
is answered with 404 cannot tell a key that is missing from a bucket that is (Amazon S3 API Reference,
"HeadObject"), and the second must never be read as the first (faults 43, 54).

Credentials are boto3's own business: environment, shared credentials file, instance role (Boto3 docs,
"Credentials"). They are not part of the settings and never logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from integration.flink.config import S3Settings
from integration.flink.storage import StorageError, split_s3

T = TypeVar("T")

TIMEOUT_S = 10.0
ATTEMPTS = 2
"""A call waits for at most about twice the time-out; the caller asks again anyway."""
_DELETED_AT_ONCE = 1000  # as many as one DeleteObjects takes


class S3Storage:
    """One client for all buckets. Creating it sends nothing."""

    def __init__(self, settings: S3Settings, *, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS) -> None:
        config = Config(
            connect_timeout=min(timeout_s, 5.0),
            read_timeout=timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": "path" if settings.path_style else "auto"},
            # Stores other than Amazon's do not all know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = boto3.session.Session()
        self._client: Any = session.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region or session.region_name or "us-east-1",
            config=config,
        )

    def require_root(self, uri: str) -> None:
        """An empty prefix is storage that nothing was written to yet; a bucket that is missing is an error."""
        bucket, key = split_s3(uri)
        self._ask(uri, lambda: self._list(bucket, _below(key), MaxKeys=1))

    def names(self, uri: str) -> list[str]:
        bucket, key = split_s3(uri)
        prefix = _below(key)

        def listed() -> set[str]:
            found: set[str] = set()
            for page in self._pages(bucket, prefix, Delimiter="/"):
                found |= {entry["Prefix"] for entry in page.get("CommonPrefixes", ())}
                found |= {entry["Key"] for entry in page.get("Contents", ())}
            return {name.removeprefix(prefix).rstrip("/") for name in found}

        return sorted(self._ask(uri, listed) - {""})  # "" is the marker that some clients put for a directory

    def is_file(self, uri: str) -> bool:
        bucket, key = split_s3(uri)
        if not key:
            return False
        # Keys are listed in order, and none that begins with a key comes before that key.
        found = self._ask(uri, lambda: self._list(bucket, key, MaxKeys=1)).get("Contents", ())
        return any(entry["Key"] == key for entry in found)

    def read(self, uri: str, limit: int) -> bytes | None:
        bucket, key = split_s3(uri)

        def fetched() -> bytes | None:
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key)
            except self._client.exceptions.NoSuchKey:
                return None
            with closing(answer["Body"]) as body:
                data: bytes = body.read(limit)
                return data

        return self._ask(uri, fetched)

    def write(self, uri: str, data: bytes) -> None:
        bucket, key = split_s3(uri)
        self._ask(uri, lambda: self._client.put_object(Bucket=bucket, Key=key, Body=data))

    def remove(self, uri: str) -> None:
        bucket, key = split_s3(uri)
        if not key:
            raise StorageError(f"{uri} is a whole bucket, which is never removed")

        def removed() -> None:
            for keys in _chunks(self._keys(bucket, key)):
                asked = {"Objects": [{"Key": each} for each in keys], "Quiet": True}
                errors = self._client.delete_objects(Bucket=bucket, Delete=asked).get("Errors", ())
                if errors:
                    raise StorageError(f"{uri}: {errors[0].get('Key')} cannot be removed: {errors[0].get('Message')}")

        self._ask(uri, removed)

    def _keys(self, bucket: str, key: str) -> Iterator[str]:
        """The object itself, and whatever is below it; not `key-of-somebody-else`."""
        for page in self._pages(bucket, key):
            for entry in page.get("Contents", ()):
                if entry["Key"] == key or entry["Key"].startswith(f"{key}/"):
                    yield entry["Key"]

    def _pages(self, bucket: str, prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
        pages: Iterator[dict[str, Any]] = iter(
            self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more)
        )
        return pages

    def _list(self, bucket: str, prefix: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        return found

    def _ask(self, uri: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            said = error.response.get("Error", {})
            reason = said.get("Message") or said.get("Code") or "no reason given"
            raise StorageError(f"{uri}: the object store refuses {error.operation_name}: {reason}") from error
        except (BotoCoreError, OSError) as error:
            raise StorageError(f"{uri}: the object store does not answer: {error}") from error


def _below(key: str) -> str:
    return f"{key}/" if key else ""


def _chunks(keys: Iterator[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for key in keys:
        chunk.append(key)
        if len(chunk) == _DELETED_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
