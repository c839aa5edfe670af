"""The list of places that files and savepoints may come from, and the ways around it."""

from __future__ import annotations

import json
import posixpath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.app.config import ConfigError, Jobs
from reconciler.model import uris
from reconciler.model.spec_errors import SpecInvalid, SpecLimits
from reconciler.model.spec_parse import parse_spec

PLACES = ("file:///srv/jobs", "https://repo.example.com/weir/", "s3://jars/prod")


@pytest.mark.parametrize(
    "uri",
    [
        "/srv/jobs/a.py", "file:///srv/jobs/a/b.py", "file:/srv/jobs/a.py", "FILE://localhost/srv/jobs/a%20b.py",
        "/srv/jobs", "https://repo.example.com/weir/a.jar", "https://REPO.example.com/weir/a.jar?version=2", "s3://jars/prod/a.jar",
    ],
)  # fmt: skip
def test_what_is_below_a_place_is_allowed(uri: str) -> None:
    assert uris.refusal(uri, PLACES) is None
    assert uris.refusal(uri, None) is None


@pytest.mark.parametrize(
    "uri",
    [
        "/srv/jobs/../secret.py", "/srv/jobs/%2e%2e/secret.py", "/srv/jobs/%252e%252e/secret.py", "/srv/jobs/./a.py",
        "/srv/jobs/..%2fsecret.py", "/srv/jobs/a%5c..%5cb", "/srv/jobs\\..\\a.py", "/srv//jobs/a.py", "//srv/jobs/a.py",
        "/srv/jobs-of-others/a.py", "/srv/job", "/srv/jobs%00/a.py", "/srv/jobs/a%0a.py", "/srv/jobs/a.py#/x",
        "/srv/jobs/a.py?x", "/srv/jobs/%zz", "/srv/jobs/%ff", "/srv/jobs/\uff0e\uff0e/a.py", "srv/jobs/a.py",
        "file://evil/srv/jobs/a.py", "file:srv/jobs/a.py", "http://repo.example.com/weir/a.jar",
        "https://repo.example.com:8443/weir/a.jar", "https://repo.example.com@evil.example/weir/a.jar",
        "https://repo.example.com.evil.example/weir/a.jar", "https://repo.example.com/weir/../a.jar",
        "https://repo.example.com/weirder/a.jar", "https://repo.example.com/?/weir/a.jar", "s3a://jars/prod/a.jar",
        "s3://jars/production/a.jar", "s3://jars.evil/prod/a.jar", "https://[::1/weir/a.jar", "",
    ],
)  # fmt: skip
def test_f50_a_way_around_the_list_is_refused(uri: str) -> None:
    why = uris.refusal(uri, PLACES)

    assert why is not None
    assert "allowed are: file:///srv/jobs, https://repo.example.com/weir/, s3://jars/prod" in why


_PIECES = st.sampled_from(
    [
        "/", "srv", "jobs", "..", ".", "%2e", "%2F", "%", "%25", "\\", "//",
        "file:", "file://", "localhost", "?", "#", "a.py", "@", ":", "\u00e9",
    ]
)  # fmt: skip


@settings(max_examples=2000)
@given(st.lists(_PIECES, max_size=12).map("".join) | st.text(max_size=30))
def test_what_passes_is_below_the_place_however_it_is_read(uri: str) -> None:
    if uris.refusal(uri, ("/srv/jobs",)) is not None:
        return
    path = urlsplit(uri).path if uri.lower().startswith("file:") else uri
    for read in (path, unquote(path), unquote(unquote(path))):
        assert f"{posixpath.normpath(read)}/".startswith("/srv/jobs/")


def _spec(**change: Any) -> bytes:
    document = {"flinkVersion": "2.2", "job": {"type": "python", "uri": "/srv/jobs/a.py", **change.pop("job", {})}}
    return json.dumps({**document, **change}).encode()


LIMITS = SpecLimits(artefacts=("/srv/jobs",), state=("file:///mnt/weir", "s3://archive/savepoints"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"job": {"uri": "/srv/other/a.py"}}, "job.uri"),
        ({"job": {"pyFiles": ["/srv/jobs/b.py", "/srv/jobs/../c.py"]}}, "job.pyFiles.1"),
        ({"job": {"initialSavepointPath": "/srv/jobs/savepoint-1"}}, "job.initialSavepointPath"),
        ({"snapshots": {"savepointDir": "s3://archive/other"}}, "snapshots.savepointDir"),
        ({"flinkConfiguration": {"pipeline.jars": "/srv/jobs/a.jar;/tmp/b.jar"}}, "flinkConfiguration.pipeline.jars"),
        ({"flinkConfiguration": {"python.archives": "/tmp/b.zip#b"}}, "flinkConfiguration.python.archives"),
    ],
)
def test_a_spec_names_files_and_savepoints_below_the_places_only(change: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        parse_spec("orders", _spec(**change), LIMITS)

    (error,) = refused.value.errors
    assert error.path == path
    assert "allowed are:" in error.message
    assert "jobs.allowed_" in (error.hint or "")
    assert parse_spec("orders", _spec(**change)).flink_version == "2.2"


def test_a_spec_that_keeps_to_the_places_is_accepted() -> None:
    job = {"initialSavepointPath": "s3://archive/savepoints/1", "pyFiles": ["file:///srv/jobs/lib/b.py"]}
    keys = {"pipeline.jars": "/srv/jobs/a.jar;/srv/jobs/b.jar"}

    assert parse_spec("orders", _spec(job=job, flinkConfiguration=keys), LIMITS).job.py_files


def test_a_place_that_nothing_could_be_below_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"jobs\.allowed_artefacts: /srv/\.\./jobs cannot be a place"):
        Jobs(allowed_artefacts=["/srv/../jobs"]).check()
