"""What is fetched and built: digests, half-finished installations, generated stubs, requirements."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from integration.local import artefacts, cache, flink_dist, native_build, packages
from integration.local.errors import ArtefactError, MissingRequirement, NotEnoughDisk
from integration.local.progress import Silent


def test_a_file_with_the_right_digest_stays(tmp_path: Path) -> None:
    path = tmp_path / "egg"
    path.write_bytes(b"content")
    artefacts.verify_digest(path, hashlib.sha256(b"content").hexdigest())
    assert path.exists()


def test_a_file_with_another_digest_is_refused_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "egg"
    path.write_bytes(b"something else")
    with pytest.raises(ArtefactError, match=r"its sha256 is [0-9a-f]{64}, expected 00"):
        artefacts.verify_digest(path, "00")
    assert not path.exists()


def test_a_damaged_egg_in_the_cache_never_becomes_a_library(tmp_path: Path) -> None:
    home = tmp_path / "mesos" / artefacts.MESOS_VERSION
    home.mkdir(parents=True)
    (home / artefacts.MESOS_EGG).write_bytes(b"not an egg")
    with pytest.raises(ArtefactError, match="is not the file that was published"):
        artefacts.fetch_mesos(tmp_path, Silent())
    assert not (home / "libmesos.so").exists()


def test_a_full_disk_is_refused_before_anything_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1 << 30))
    with pytest.raises(NotEnoughDisk, match=r"1\.0 GiB free and 3\.0 GiB are needed.*WEIR_CACHE"):
        flink_dist.ensure_flink("2.2", cache=tmp_path)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path))
    assert cache.cache_dir() == tmp_path
    monkeypatch.delenv("WEIR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.cache_dir() == Path("/x/weir")


def _pretend_install(home: Path, version: str, _progress: object) -> None:
    lib = home / "lib" / "python3" / "site-packages" / "pyflink" / "lib"
    lib.mkdir(parents=True)
    (lib / f"flink-dist-{version}.jar").touch()
    (home / "bin").mkdir()
    (home / "bin" / "python").touch()
    marker = {"version": version, "home": str(lib.parent), "python": str(home / "bin" / "python")}
    (home / flink_dist._MARKER).write_text(json.dumps(marker))


def test_a_flink_is_installed_once_and_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flink_dist, "_install", _pretend_install)
    monkeypatch.setattr(flink_dist, "_DISK_NEEDED", 0)
    first = flink_dist.ensure_flink("2.2", cache=tmp_path)
    assert (first.version, first.series) == ("2.2.1", "2.2")
    monkeypatch.setattr(flink_dist, "_install", None)
    assert flink_dist.ensure_flink("2.2.1", cache=tmp_path) == first


def test_a_half_finished_flink_is_removed_and_installed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = tmp_path / "flink" / "2.2.1"
    (half / "lib").mkdir(parents=True)
    (half / "rubbish").touch()
    monkeypatch.setattr(flink_dist, "_install", _pretend_install)
    monkeypatch.setattr(flink_dist, "_DISK_NEEDED", 0)
    assert flink_dist.ensure_flink("2.2", cache=tmp_path).home.exists()
    assert not (half / "rubbish").exists()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_a_stub_library_offers_the_names_under_the_versions_asked_for(tmp_path: Path) -> None:
    nodes = {"OPENSSL_1.0.0": ["SSL_read"], "OPENSSL_1.0.2": ["SSL_library_init"]}
    native_build._compile_stub(tmp_path, "libssl.so.1.0.0", nodes)
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", tmp_path / "libssl.so.1.0.0"], capture_output=True, text=True, check=True
    ).stdout
    assert "SSL_read@@OPENSSL_1.0.0" in listing
    assert "SSL_library_init@@OPENSSL_1.0.2" in listing


def test_stubs_do_nothing_and_data_is_data() -> None:
    source = native_build.stub_source(["SSL_read", "SSL_library_init", "PyExc_TypeError"])
    assert "long SSL_read(void) { return 0; }" in source
    assert "long SSL_library_init(void) { return 1; }" in source
    assert "void *PyExc_TypeError[64];" in source


def test_a_missing_compiler_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingRequirement, match=r"gcc is not installed; apt-get install -y g\+\+"):
        native_build._run(["gcc"], "compile")


@pytest.mark.parametrize(
    ("output", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "11.0.2-ea"', 11),
        ('openjdk version "21" 2023-09-19', 21),
    ],
)
def test_java_versions_are_read(output: str, major: int) -> None:
    java = packages.parse_java("/usr/bin/java", output)
    assert java is not None
    assert java.major == major


def test_without_java_the_exact_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_java", lambda: None)
    with pytest.raises(MissingRequirement, match="apt-get install -y --no-install-recommends openjdk-17-jre-headless"):
        packages.ensure_java(Silent(), install=False)


def test_without_root_the_command_starts_with_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_java", lambda: None)
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingRequirement, match="no Java runtime was found; sudo apt-get install"):
        packages.ensure_java(Silent())


def test_a_java_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_java", lambda: packages.Java("/opt/java8/bin/java", 8, "1.8.0_402"))
    with pytest.raises(MissingRequirement, match=r"is Java 1\.8\.0_402, and at least 11 is needed"):
        packages.ensure_java(Silent())
