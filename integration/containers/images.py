"""Names of images that can be run: named by the environment, there already, or built from the repository.

No registry is needed. Where `debian:bookworm-slim` cannot be pulled, a Debian of the same release is made from the
machine's package mirror (`debootstrap`, as root) and the Dockerfiles start from that.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
from docker.errors import APIError, DockerException, ImageNotFound

from integration.containers.errors import ImageFailed
from integration.containers.recipes import BUILD_ENV, Recipe, build_context, content_tag, find_source, recipes
from integration.local.cache import cache_dir, file_lock, make_dir
from integration.local.errors import LocalStackError
from integration.local.flink_dist import DEFAULT_SERIES
from integration.local.packages import provide
from integration.local.progress import Progress, Silent

log = structlog.get_logger()

DEBIAN = "debian:bookworm-slim"
DEBIAN_VARIABLE = "WEIR_IMAGE_DEBIAN"
LOCAL_DEBIAN = "weir/debian:bookworm"
MIRROR = "http://deb.debian.org/debian"
LABEL = "dev.weir.image"
_TELLING = re.compile(r"(error|e: |fatal)|[\w.]*(error|exception): ", re.IGNORECASE)  # of the line of a log
_KEPT = 3  # newest images of each name
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_INDEX = {"PIP_INDEX_URL": "index-url", "PIP_EXTRA_INDEX_URL": "extra-index-url", "PIP_TRUSTED_HOST": "trusted-host"}


class Images:
    """The images of one checkout and one series of Flink on one engine."""

    def __init__(
        self,
        client: Any,
        *,
        series: str = DEFAULT_SERIES,
        source: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """``client`` is a docker.DockerClient; ``source`` defaults to WEIR_SOURCE or this module's own checkout."""
        self._client = client
        self._recipes = recipes(series)
        self._source = source or find_source()
        self._progress = progress or Silent()
        self._found: dict[str, str] = {}

    def name(self, image: str) -> str:
        """The name to run for "zookeeper", "mesos-master", "mesos-agent", "replica" or "base".

        ``WEIR_IMAGE_<NAME>`` wins; else the image is built unless it exists. Raises ImageFailed.
        """
        if image not in self._found:
            recipe = self._recipes[image]
            chosen = os.environ.get(recipe.variable)
            self._found[image] = self._named(recipe.variable, chosen) if chosen else self._built(recipe)
        return self._found[image]

    def all(self) -> dict[str, str]:
        """Every image by its short name; builds what is missing, two at a time."""
        self.ensure(self._recipes)
        return {image: self.name(image) for image in self._recipes}

    def ensure(self, images: Iterable[str]) -> None:
        """Builds what is missing of these, two at a time. Raises ImageFailed."""
        waves: dict[int, list[str]] = {}
        for image in images:
            waves.setdefault(self._depth(image), []).append(image)
        with ThreadPoolExecutor(max_workers=2) as pool:
            for _, wave in sorted(waves.items()):
                list(pool.map(self.name, wave))

    def _depth(self, image: str) -> int:
        """How many images lie below this one; those of equal depth can be built side by side."""
        return max((1 + self._depth(parent) for parent in self._recipes[image].parents.values()), default=0)

    # --- images that somebody named -----------------------------------------------------------------------

    def _named(self, variable: str, name: str) -> str:
        if self._has(name):
            return name
        self._progress.note(f"pulling {name} ({variable})")
        try:
            self._client.images.pull(*_split(name))
        except (APIError, DockerException) as error:
            raise ImageFailed(
                f"cannot use {name} of {variable}",
                _one_line(error),
                f"pull or load it first, or unset {variable} to have it built from the repository",
            ) from error
        return name

    def _has(self, name: str) -> bool:
        try:
            self._client.images.get(name)
        except ImageNotFound:
            return False
        return True

    # --- images that are built ----------------------------------------------------------------------------

    def _built(self, recipe: Recipe) -> str:
        if self._source is None:
            raise ImageFailed(
                f"no image for {recipe.name}",
                "the installed package has no Dockerfiles",
                f"set {recipe.variable} to an image, or WEIR_SOURCE to a checkout of the repository",
            )
        parents = {argument: self.name(parent) for argument, parent in recipe.parents.items()}
        if not recipe.parents:
            parents = {"DEBIAN": self._debian()}
        name = f"weir/{recipe.name}:{content_tag(self._source, recipe, parents)}"
        with file_lock(cache_dir() / "containers" / f"{recipe.name}.lock"):
            if not self._has(name):
                self._build(recipe, name, {**recipe.arguments, **parents}, self._source)
                self._forget_older(recipe.name)
        return name

    def _build(self, recipe: Recipe, name: str, arguments: Mapping[str, str], source: Path) -> None:
        self._progress.note(f"building {name}")
        log_path = make_dir(cache_dir() / "containers" / "logs", "logs of builds") / f"{recipe.name}.log"
        arguments = {**arguments, **{key: os.environ[key] for key in _PROXIES if os.environ.get(key)}}
        context = build_context(source, recipe, builders_network() if recipe.name == "base" else {})
        failure = ""
        with log_path.open("w") as out:
            try:
                for line in self._client.api.build(
                    fileobj=context, custom_context=True, dockerfile=recipe.dockerfile, tag=name, rm=True, forcerm=True,
                    network_mode="host", buildargs=arguments, labels={LABEL: recipe.name}, decode=True,
                ):  # fmt: skip
                    out.write(line.get("stream", "") or "")
                    failure = line.get("error", failure)
            except (APIError, DockerException, OSError) as error:
                failure = _one_line(error)
            out.write(failure)
        if failure:
            said = _last_complaint(log_path)
            raise ImageFailed(f"cannot build {name}", said or " ".join(failure.split()), f"read {log_path}")
        self._client.images.get(name).tag(f"weir/{recipe.name}", "latest")
        log.info("image.built", image=name, log=str(log_path))

    def _forget_older(self, image: str) -> None:
        """Removes all but the newest of an image's versions; those in use stay."""
        found = self._client.images.list(f"weir/{image}", filters={"label": f"{LABEL}={image}"})
        found.sort(key=lambda each: str(each.attrs.get("Created", "")), reverse=True)
        for old in found[_KEPT:]:
            for tag in old.tags:
                with contextlib.suppress(APIError):
                    self._client.images.remove(tag)

    # --- the Debian below ---------------------------------------------------------------------------------

    def _debian(self) -> str:
        if chosen := os.environ.get(DEBIAN_VARIABLE):
            return self._named(DEBIAN_VARIABLE, chosen)
        for name in (DEBIAN, LOCAL_DEBIAN):
            if self._has(name):
                return name
        with file_lock(cache_dir() / "containers" / "debian.lock"):
            if self._has(LOCAL_DEBIAN):
                return LOCAL_DEBIAN
            try:
                self._client.images.pull(*_split(DEBIAN))
            except (APIError, DockerException) as error:
                self._make_debian(_one_line(error))
                return LOCAL_DEBIAN
        return DEBIAN

    def _make_debian(self, why: str) -> None:
        """Makes a Debian from the package mirror (a minute, 200 MB); a copy is kept in the cache."""
        archive = make_dir(cache_dir() / "containers", "cache of images") / "debian-bookworm.tar"
        if not archive.exists():
            self._progress.note(f"making a Debian from {MIRROR}: {DEBIAN} cannot be pulled")
            if os.geteuid() != 0:
                raise ImageFailed(
                    f"cannot pull {DEBIAN}", why, f"load it, set {DEBIAN_VARIABLE} to another, or run this as root once"
                )
            with _debootstrap(self._progress) as root:
                partial = archive.with_suffix(".partial")
                _run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(partial), "."], f"pack {root}")
                partial.rename(archive)
        repository, _, tag = LOCAL_DEBIAN.partition(":")
        with archive.open("rb") as data:
            self._client.api.import_image_from_data(data, repository=repository, tag=tag)
        log.info("image.debian_made", image=LOCAL_DEBIAN, archive=str(archive))


@contextlib.contextmanager
def _debootstrap(progress: Progress) -> Iterator[Path]:
    """A directory with a minimal Debian, removed afterwards."""
    if shutil.which("debootstrap") is None:
        try:
            provide(["debootstrap"], "make a base image", progress, install=True)
        except LocalStackError as error:
            raise ImageFailed(error.what, error.why, error.next) from error
    with tempfile.TemporaryDirectory(prefix="weir-debian-") as directory:
        root = Path(directory) / "root"
        _run(["debootstrap", "--variant=minbase", "bookworm", str(root), MIRROR], "make a Debian")
        for cached in (root / "var/cache/apt/archives").glob("*.deb"):
            cached.unlink()
        yield root


def _run(argv: list[str], purpose: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines()
        raise ImageFailed(
            f"cannot {purpose}",
            lines[-1] if lines else f"{argv[0]} ended with code {done.returncode}",
            f"load {DEBIAN} from elsewhere, or set {DEBIAN_VARIABLE} to an image that is there",
        )


def builders_network() -> dict[str, bytes]:
    """Files of ``deploy/docker/build-env``: this machine's certificates and package index, for pip in builds."""
    files: dict[str, bytes] = {}
    for variable in _CA_VARIABLES:
        path = Path(os.environ.get(variable, ""))
        if path.is_file():
            files[f"{BUILD_ENV}/ca.pem"] = path.read_bytes()
            break
    lines = [f"{key} = {os.environ[name]}" for name, key in _INDEX.items() if os.environ.get(name)]
    if lines:
        files[f"{BUILD_ENV}/pip.conf"] = "\n".join(["[global]", *lines, ""]).encode()
    return files


def _split(name: str) -> tuple[str, str]:
    """Repository and tag; a registry's port is not a tag."""
    head, separator, tag = name.rpartition(":")
    return (head, tag) if separator and "/" not in tag else (name, "latest")


def _one_line(error: BaseException) -> str:
    text = getattr(error, "explanation", None) or str(error)
    return " ".join(str(text).split())


def _last_complaint(log_path: Path) -> str:
    """The most telling of the last lines of a failed build."""
    lines = [line.strip() for line in log_path.read_text(errors="replace").splitlines() if line.strip()][-40:]
    telling = [line for line in lines if _TELLING.match(line)]
    return telling[-1][:300] if telling else ""
