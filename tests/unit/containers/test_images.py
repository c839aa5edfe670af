"""Images: the content address covers everything that goes into them."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from integration.containers.errors import ImageFailed
from integration.containers.images import Images, builders_network
from integration.containers.recipes import Recipe, build_context, content_files, content_tag, recipes

ROOT = Path(__file__).resolve().parents[3]
PARENTS = {"PARENT": "weir/base:1"}
ALL = sorted(recipes().values(), key=lambda recipe: recipe.name)


def copied(recipe: Recipe) -> set[str]:
    """Paths that the Dockerfile copies from the repository."""
    text = (ROOT / recipe.dockerfile).read_text()
    found: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        found |= {path.rstrip("/") for path in line.split()[:-1]}
    return found


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_a_recipe_lists_what_its_dockerfile_copies(recipe: Recipe) -> None:
    listed = {str(path.relative_to(ROOT)) for path in content_files(ROOT, recipe)}
    for path in copied(recipe):
        assert any(each == path or each.startswith(f"{path}/") for each in listed), path


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_a_recipe_sets_only_arguments_that_its_dockerfile_declares(recipe: Recipe) -> None:
    declared = set(re.findall(r"^ARG (\w+)", (ROOT / recipe.dockerfile).read_text(), re.MULTILINE))
    assert set(recipe.parents) | set(recipe.arguments) <= declared


def copy_of(image: str, target: Path) -> Path:
    """The files that an image is made of, and no others of the repository."""
    for path in content_files(ROOT, recipes()[image]):
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return target


@pytest.mark.parametrize(
    ("image", "module"),
    [
        ("mesos-master", "integration.local.artefacts"),
        ("mesos-master", "integration.local.native_build"),
        ("replica", "reconciler.app.cli"),
    ],
)
def test_what_an_image_is_made_of_is_enough_to_import_what_runs_in_it(image: str, module: str, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(copy_of(image, tmp_path))!r}); import {module} as m; print(m.__file__)"
    )
    found = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(str(tmp_path))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what the replica's image is made of."""
    return copy_of("replica", tmp_path)


def test_the_same_content_has_the_same_address_anywhere(source: Path) -> None:
    recipe = recipes()["replica"]
    assert content_tag(source, recipe, PARENTS) == content_tag(ROOT, recipe, PARENTS)


@pytest.mark.parametrize("what", ["content", "mode", "new file", "parent", "argument"])
def test_any_change_has_another_address(source: Path, what: str) -> None:
    recipe, parents = recipes()["replica"], dict(PARENTS)
    before = content_tag(source, recipe, parents)
    if what == "content":
        (source / "reconciler" / "loop.py").write_text("\n")
    elif what == "mode":
        (source / "reconciler" / "loop.py").chmod(0o755)
    elif what == "new file":
        (source / "reconciler" / "new.py").write_text("")
    elif what == "parent":
        parents["PARENT"] = "weir/base:2"
    else:
        recipe = Recipe(recipe.name, recipe.files, recipe.parents, {"EXTRA": "1"})
    assert content_tag(source, recipe, parents) != before


def test_byte_code_does_not_count(source: Path) -> None:
    recipe = recipes()["replica"]
    before = content_tag(source, recipe, PARENTS)
    (source / "reconciler" / "__pycache__").mkdir()
    (source / "reconciler" / "__pycache__" / "loop.pyc").write_bytes(b"1")
    assert content_tag(source, recipe, PARENTS) == before


def test_the_context_holds_the_files_and_keeps_what_is_executable() -> None:
    context = build_context(ROOT, recipes()["zookeeper"], {"deploy/docker/build-env/ca.pem": b"certificate"})
    with tarfile.open(fileobj=context) as tar:
        modes = {each.name: each.mode for each in tar.getmembers()}
    assert modes["deploy/docker/zookeeper-entrypoint"] == 0o755
    assert modes["deploy/docker/zookeeper.Dockerfile"] == 0o644
    assert "deploy/docker/build-env/ca.pem" in modes


class Engine:
    """As much of docker-py as choosing and building images needs."""

    def __init__(self, *present: str) -> None:
        self.present = set(present)
        self.built: list[dict[str, Any]] = []
        self.fails = ""
        self.images = self
        self.api = self

    def get(self, name: str) -> Engine:
        if name not in self.present:
            raise ImageNotFound(name)
        return self

    def pull(self, repository: str, tag: str) -> None:
        raise APIError(f"no such host for {repository}:{tag}")

    def tag(self, repository: str, tag: str) -> None:
        self.present.add(f"{repository}:{tag}")

    def list(self, name: str, filters: object) -> list[Any]:
        return []

    def build(self, *, fileobj: io.BytesIO, **options: Any) -> list[dict[str, str]]:
        self.built.append(options)
        if self.fails:
            return [{"stream": "Step 1\n"}, {"stream": "ERROR: no matching distribution\n"}, {"error": self.fails}]
        self.present.add(options["tag"])
        return [{"stream": "Successfully built\n"}]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIR_CACHE", str(tmp_path))
    for recipe in recipes().values():
        monkeypatch.delenv(recipe.variable, raising=False)
    return tmp_path


def test_an_image_is_built_on_its_parents_once(cache: Path) -> None:
    engine = Engine("debian:bookworm-slim")
    images = Images(engine, source=ROOT)
    name = images.name("replica")
    assert [each["tag"].partition(":")[0] for each in engine.built] == ["weir/base", "weir/replica"]
    assert engine.built[0]["buildargs"]["DEBIAN"] == "debian:bookworm-slim"
    assert engine.built[1]["buildargs"]["PARENT"] == engine.built[0]["tag"]
    assert Images(engine, source=ROOT).name("replica") == name
    assert len(engine.built) == 2, "what exists under its address is not built again"


def test_the_environment_names_another_image(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_IMAGE_ZOOKEEPER", "zookeeper:3.9")
    engine = Engine("zookeeper:3.9")
    assert Images(engine, source=ROOT).name("zookeeper") == "zookeeper:3.9"
    assert not engine.built


def test_a_named_image_that_is_nowhere_says_which_variable_named_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_IMAGE_ZOOKEEPER", "registry.example.com:5000/zookeeper")
    with pytest.raises(ImageFailed, match=r"WEIR_IMAGE_ZOOKEEPER.*no such host.*unset"):
        Images(Engine(), source=ROOT).name("zookeeper")


def test_a_build_that_fails_says_why_and_where_to_read(cache: Path) -> None:
    engine = Engine("debian:bookworm-slim")
    engine.fails = "The command returned a non-zero code: 1"
    with pytest.raises(ImageFailed, match=r"cannot build weir/base.*no matching distribution.*base\.log"):
        Images(engine, source=ROOT).name("base")


def test_without_dockerfiles_the_error_names_the_variable(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integration.containers.images.find_source", lambda: None)
    with pytest.raises(ImageFailed, match=r"WEIR_IMAGE_REPLICA.*WEIR_SOURCE"):
        Images(Engine()).name("replica")


def test_builds_use_the_builders_certificates_and_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"certificate")
    monkeypatch.setenv("PIP_CERT", str(bundle))
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example.com/simple")
    files = builders_network()
    assert files["deploy/docker/build-env/ca.pem"] == b"certificate"
    assert b"index-url = https://pypi.example.com/simple" in files["deploy/docker/build-env/pip.conf"]
