"""The compiled class that is shipped is the one that its source says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from integration.flink import gate
from integration.local.packages import find_java
from integration.local.stack import LocalStack

SOURCE = Path(gate.__file__).with_name("Gate.java")


@pytest.mark.stack
@pytest.mark.parametrize("series", ["1.20", "2.2", "2.3"])
def test_the_class_is_what_its_source_compiles_to_against_every_version(
    stack: LocalStack, series: str, tmp_path: Path
) -> None:
    java = find_java()
    compiler = str(Path(java.path).resolve().parent / "javac") if java else shutil.which("javac")
    assert compiler is not None
    libraries = f"{stack.flink[series].home}/lib/*"
    command = [compiler, "--release", "11", "-g:none", "-nowarn", "-cp", libraries, "-d", str(tmp_path), str(SOURCE)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "dev/weir/Gate.class").read_bytes() == SOURCE.with_suffix(".class").read_bytes()
