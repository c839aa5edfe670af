"""Artefacts by way of `mvn`, with a small script in its place: complete, at once, or not at all."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from integration.local import kafka_maven
from integration.local.errors import ArtefactError, MissingRequirement
from integration.local.kafka_maven import CONNECTORS, KAFKA_VERSION, Coordinates, fetch_connector, fetch_kafka

COPIES = """#!/bin/sh
echo "$@" >> "$MVN_CALLS"
for argument do case $argument in -DoutputDirectory=*) out=${argument#*=};; esac; done
echo "[INFO] Downloaded from somewhere: a.jar (1.5 kB at 3 kB/s)"
printf jar > "$out/a.jar"
printf more > "$out/flink-sql-connector-kafka-5.0.0-2.2.jar"
"""
FAILS = """#!/bin/sh
echo "$@" >> "$MVN_CALLS"
echo "[INFO] Scanning"
echo "[ERROR] Could not resolve dependencies"
echo "[ERROR] To see more"
exit 1
"""


class Maven:
    def __init__(self, directory: Path) -> None:
        self._script = directory / "mvn"
        self._calls = directory / "calls"

    def does(self, script: str) -> None:
        self._script.write_text(script)
        self._script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maven:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}/usr/bin:/bin")
    monkeypatch.setenv("MVN_CALLS", str(directory / "calls"))
    found = Maven(directory)
    found.does(COPIES)
    return found


def test_the_second_time_nothing_is_downloaded(maven: Maven, tmp_path: Path) -> None:
    home = fetch_kafka(tmp_path / "cache")
    assert (home / "a.jar").read_text() == "jar"
    assert fetch_kafka(tmp_path / "cache") == home
    assert len(maven.calls) == 1


def test_the_broker_comes_with_what_it_depends_on_and_the_connector_alone(maven: Maven, tmp_path: Path) -> None:
    fetch_kafka(tmp_path / "cache")
    jar = fetch_connector("2.2", tmp_path / "cache")
    assert jar.is_file()
    assert ["excludeTransitive" in call for call in maven.calls] == [False, True]


def test_a_jar_that_got_lost_or_cut_is_fetched_again(maven: Maven, tmp_path: Path) -> None:
    home = fetch_kafka(tmp_path / "cache")
    (home / "a.jar").write_text("j")
    fetch_kafka(tmp_path / "cache")
    (home / "a.jar").unlink()
    fetch_kafka(tmp_path / "cache")
    assert (home / "a.jar").read_text() == "jar"
    assert len(maven.calls) == 3


def test_a_failure_says_what_maven_said_and_leaves_no_entry(maven: Maven, tmp_path: Path) -> None:
    maven.does(FAILS)
    with pytest.raises(ArtefactError, match="Could not resolve dependencies") as failed:
        fetch_kafka(tmp_path / "cache")
    log = tmp_path / "cache" / "maven" / f"kafka-{KAFKA_VERSION}.log"
    assert str(log) in str(failed.value)
    assert log.exists()
    maven.does(COPIES)
    assert (fetch_kafka(tmp_path / "cache") / "a.jar").exists()


def test_what_was_interrupted_is_started_over(maven: Maven, tmp_path: Path) -> None:
    partial = tmp_path / "cache" / "maven" / f".kafka-{KAFKA_VERSION}.partial"
    partial.mkdir(parents=True)
    (partial / "old.jar").write_text("half")
    home = fetch_kafka(tmp_path / "cache")
    assert sorted(path.name for path in home.glob("*.jar")) == ["a.jar", "flink-sql-connector-kafka-5.0.0-2.2.jar"]


def test_a_series_without_a_connector_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=", ".join(CONNECTORS)):
        fetch_connector("1.19", tmp_path)


def test_without_maven_the_command_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirement, match=r"apt-get install -y .*maven"):
        fetch_kafka(tmp_path / "cache", install=False)


def test_the_project_is_well_formed_and_names_what_is_wanted() -> None:
    root = ET.fromstring(kafka_maven.pom_text([Coordinates("org.example", "a&b", "1.0")]))
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    path = "m:dependencies/m:dependency/m:"
    found = [root.findtext(f"{path}{field}", namespaces=names) for field in ("groupId", "artifactId", "version")]
    assert found == ["org.example", "a&b", "1.0"]


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("[INFO] Downloaded from x: y/z.jar (1.9 MB at 2.2 MB/s)", 1_900_000),
        ("[INFO] Downloaded from x: y/z.pom (714 B at 9.1 kB/s)", 714),
        ("[INFO] Downloading from x: y/z.jar", 0),
        ("[INFO] Building artefacts 1", 0),
    ],
)
def test_progress_is_read_from_what_maven_says(line: str, size: int) -> None:
    assert kafka_maven.transferred(line) == size
