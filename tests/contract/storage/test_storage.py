"""What every storage has to answer, in the same way: a directory and an object store."""

from __future__ import annotations

from typing import Any

import pytest

from integration.flink import storage
from integration.flink.storage import StorageError

Place = Any


def test_names_of_files_and_directories_are_sorted_and_only_of_this_level(place: Place) -> None:
    for name in ("dir/b/deep/er", "dir/a", "dir/b/x", "dirt/c"):
        place.write(name)

    assert place.storage.names(f"{place.root}/dir") == ["a", "b"]
    assert place.storage.names(f"{place.root}/dir/") == ["a", "b"]
    assert place.storage.names(place.root) == ["dir", "dirt"]


def test_a_directory_that_is_not_there_has_no_names(place: Place) -> None:
    place.write("some/file")

    assert place.storage.names(f"{place.root}/som") == []
    assert place.storage.names(f"{place.root}/some/file") == []


def test_a_file_is_one_and_its_directory_and_its_prefix_are_not(place: Place) -> None:
    uri = place.write("dir/_metadata", b"x")

    assert place.storage.is_file(uri)
    for other in (f"{place.root}/dir", uri[:-1], f"{uri}a", f"{uri}/x"):
        assert not place.storage.is_file(other)


def test_reading_ends_at_the_limit_and_an_absent_file_is_none(place: Place) -> None:
    uri = place.write("file", b"0123456789")
    empty = place.write("empty", b"")

    assert (place.storage.read(uri, 4), place.storage.read(uri, 99)) == (b"0123", b"0123456789")
    assert place.storage.read(empty, 16) == b""
    assert place.storage.read(f"{place.root}/none", 16) is None


def test_a_tree_is_removed_and_what_only_begins_like_it_stays(place: Place) -> None:
    for name in ("ha/job-1/a", "ha/job-1/b/c", "ha/job-10/a", "ha/job-1.json"):
        place.write(name)

    place.storage.remove(f"{place.root}/ha/job-1")
    place.storage.remove(f"{place.root}/ha/job-1")

    assert place.storage.names(f"{place.root}/ha") == ["job-1.json", "job-10"]


def test_one_file_is_removed(place: Place) -> None:
    uri = place.write("one", b"1")

    place.storage.remove(uri)

    assert not place.storage.is_file(uri)


def test_what_is_written_is_read_back_and_replaces_what_was_there(place: Place) -> None:
    uri = f"{place.root}/a/b/result.json"
    for data in (b"one", b"another"):
        place.storage.write(uri, data)

        assert place.storage.read(uri, 100) == data
    assert place.storage.names(f"{place.root}/a/b") == ["result.json"]


def test_the_root_has_to_be_there(place: Place) -> None:
    place.storage.require_root(place.root)

    elsewhere = "file:/no/such/root" if place.bucket is None else "s3://no-such-bucket/weir"
    with pytest.raises(StorageError, match=r"no.such"):
        place.storage.require_root(elsewhere)


# What Flink leaves


def test_the_newest_complete_checkpoint_is_found_by_its_number(place: Place) -> None:
    for number in (2, 9, 10):
        place.snapshot(f"job/chk-{number}", number)
    place.write("job/chk-11/part")  # has no _metadata yet
    place.write("job/shared/x")

    path = f"{place.root}/job/chk-10"
    assert storage.newest_checkpoint(place.storage, f"{place.root}/job") == (10, storage.normal(path))
    assert storage.newest_checkpoint(place.storage, f"{place.root}/other") is None


def test_savepoints_of_a_trigger_are_ordered_by_their_checkpoint_ids(place: Place) -> None:
    place.snapshot("trigger/savepoint-zz-1", 3)
    place.snapshot("trigger/savepoint-aa-2", 12)
    place.write("trigger/savepoint-bb-3/part")

    found = storage.savepoints(place.storage, f"{place.root}/trigger")

    assert [number for number, _ in found] == [3, 12]
    assert found[1][1] == storage.normal(f"{place.root}/trigger/savepoint-aa-2")


def test_a_snapshot_may_be_named_by_its_metadata(place: Place) -> None:
    path = place.snapshot("sp/savepoint-1-2", 7)

    for named in (path, f"{path}/", f"{path}/_metadata"):
        assert storage.is_complete(place.storage, named)
        assert storage.checkpoint_id(place.storage, named) == 7
    assert not storage.is_complete(place.storage, f"{place.root}/sp")


def test_other_schemes_are_refused_and_never_empty(place: Place) -> None:
    with pytest.raises(StorageError, match="not supported"):
        place.storage.names("hdfs:///checkpoints")
