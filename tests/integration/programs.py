"""Java programs of the tests, compiled against a distribution's own libraries."""

from __future__ import annotations

import subprocess
from pathlib import Path

from integration.local.packages import find_java


def compiled(source: Path, flink_home: Path, directory: Path) -> Path:
    """A JAR of one class below `directory`; made once."""
    name, classes = source.stem, directory / f"{source.stem}-classes"
    target = directory / f"{name}.jar"
    if target.exists():
        return target
    classes.mkdir()
    java = find_java()
    tools = Path(java.path).resolve().parent if java else Path("/usr/bin")
    run = [str(tools / "javac"), "--release", "11", "-cp", f"{flink_home}/lib/*", "-d", str(classes), str(source)]
    subprocess.run(run, check=True)
    pack = ["--create", "--file", str(target), "--main-class", name, "-C", str(classes), "."]
    subprocess.run([str(tools / "jar"), *pack], check=True)
    return target
