"""Which images there are, what each is made of, and the content address that follows from it.

An image's tag is a hash of its Dockerfile, of the files that it copies, of its build arguments and of the tags of the
images that it builds on. So an image that exists under its tag is the right one, and nothing is built twice.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from integration.local.flink_dist import DEFAULT_SERIES, RELEASES

DIRECTORY = "deploy/docker"
BUILD_ENV = f"{DIRECTORY}/build-env"
_PROJECT = ("pyproject.toml", "README.md", "LICENSE", "reconciler", "state", "plugins", "integration")
_SKIPPED = {"__pycache__"}


@dataclass(frozen=True)
class Recipe:
    """One image: its Dockerfile is ``deploy/docker/<name>.Dockerfile``.

    ``files`` are paths below the repository that the Dockerfile copies; ``parents`` are other recipes by build
    argument; ``arguments`` are further build arguments.
    """

    name: str
    files: tuple[str, ...] = ()
    parents: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def dockerfile(self) -> str:
        """Its path in the repository."""
        return f"{DIRECTORY}/{self.name}.Dockerfile"

    @property
    def variable(self) -> str:
        """The environment variable that names another image to be used instead."""
        return f"WEIR_IMAGE_{self.name.upper().replace('-', '_')}"


def recipes(series: str = DEFAULT_SERIES) -> dict[str, Recipe]:
    """All images by name, each after the ones that it builds on; ``series`` of Flink is what agents have."""
    base = {"PARENT": "base"}
    entry = f"{DIRECTORY}/mesos-entrypoint"
    flink = {"FLINK_SERIES": series, "FLINK_VERSION": RELEASES.get(series, series)}
    found = (
        Recipe("base", (f"{DIRECTORY}/with-build-env", f"{BUILD_ENV}/README.md")),
        Recipe("zookeeper", (f"{DIRECTORY}/zookeeper-entrypoint", f"{DIRECTORY}/zkCli.sh"), base),
        Recipe("flink", (), base, flink),
        Recipe(
            "mesos-master",
            (
                "integration/__init__.py",
                "integration/errors.py",
                "integration/local",
                f"{DIRECTORY}/build_mesos.py",
                entry,
            ),
            base,
        ),
        Recipe("mesos-agent", (entry,), {"MESOS": "mesos-master", "PARENT": "flink"}),
        Recipe(
            "replica",
            (f"{DIRECTORY}/dependencies.py", "deploy/http-parser", *_PROJECT),
            base,
        ),
    )
    return {recipe.name: recipe for recipe in found}


def find_source() -> Path | None:
    """The checkout that images are built from: ``WEIR_SOURCE``, or the one that this module lies in."""
    chosen = os.environ.get("WEIR_SOURCE")
    root = Path(chosen).expanduser().absolute() if chosen else Path(__file__).resolve().parents[2]
    return root if (root / DIRECTORY / "base.Dockerfile").is_file() else None


def content_files(source: Path, recipe: Recipe) -> Iterator[Path]:
    """The files of a recipe, in a fixed order."""
    yield source / recipe.dockerfile
    for name in recipe.files:
        path = source / name
        if path.is_dir():
            for each in sorted(path.rglob("*")):
                left_out = any(part in _SKIPPED or part.endswith(".egg-info") for part in each.parts)
                if each.is_file() and not left_out and each.relative_to(path).parts[0] != "build":
                    yield each
        else:
            yield path


def content_tag(source: Path, recipe: Recipe, parents: Mapping[str, str]) -> str:
    """The content address; ``parents`` are names of images by build argument."""
    digest = hashlib.sha256()
    for key, value in sorted({**recipe.arguments, **parents}.items()):
        digest.update(f"{key}={value}\0".encode())
    for path in content_files(source, recipe):
        mode = "x" if path.stat().st_mode & 0o100 else "-"
        digest.update(f"{path.relative_to(source)}\0{mode}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def build_context(source: Path, recipe: Recipe, extra: Mapping[str, bytes]) -> io.BytesIO:
    """What is sent to the engine: the recipe's files and ``extra`` ones, as a tar that is the same every time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in content_files(source, recipe):
            _add(tar, str(path.relative_to(source)), path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))
        for name, data in sorted(extra.items()):
            _add(tar, name, data, executable=False)
    out.seek(0)
    return out


def _add(tar: tarfile.TarFile, name: str, data: bytes, *, executable: bool) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o755 if executable else 0o644
    tar.addfile(info, io.BytesIO(data))
