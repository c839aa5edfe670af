"""Plugins of Flink that the Python package does not bring along: its S3 file system, from a Maven repository.

A plugin is made for a series and not for its patch level, and not every release of it is in every mirror: the
releases below are ones that run with the distributions of `flink_dist`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from integration.local.cache import cache_dir
from integration.local.errors import ArtefactError
from integration.local.kafka_maven import Coordinates, Entry
from integration.local.progress import Progress, Silent

S3 = "flink-s3-fs-hadoop"
"""The smaller one of the two, which file sinks need too (Flink docs, "Amazon S3")."""
PLUGINS: Mapping[str, Mapping[str, str]] = {S3: {"1.20": "1.20.1", "2.2": "2.2.0", "2.3": "2.3.0"}}
"""Releases by plugin and by the Flink series that each is made for."""


def fetch_plugin(
    name: str,
    series: str,
    cache: Path | None = None,
    progress: Progress | None = None,
    *,
    install: bool = True,
) -> Path:
    """The one JAR of a plugin for a Flink series such as "2.2" (about 31 MB). Raises ArtefactError and others."""
    releases = PLUGINS.get(name)
    if releases is None:
        raise ArtefactError(f"no Flink plugin {name}", f"there are: {', '.join(PLUGINS)}", "name one of these")
    version = releases.get(series)
    if version is None:
        raise ArtefactError(
            f"no {name} for Flink {series}", f"there are releases for {', '.join(releases)}", "use one of them"
        )
    wanted = Coordinates("org.apache.flink", name, version)
    entry = Entry(cache or cache_dir(), f"{name}-{version}", (wanted,), f"Flink plugin {name} {version}", 32 << 20)
    return entry.fetch(progress or Silent(), transitive=False, install=install) / f"{name}-{version}.jar"
