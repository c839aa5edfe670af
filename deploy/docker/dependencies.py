"""Prints the dependencies that a pyproject.toml declares, for an image layer that holds nothing else."""

import sys
import tomllib
from pathlib import Path

print("\n".join(tomllib.loads(Path(sys.argv[1]).read_text())["project"]["dependencies"]))  # noqa: T201 - its output
