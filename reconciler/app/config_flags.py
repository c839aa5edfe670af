"""Flags of `weir run` that hold several settings in one text."""

from __future__ import annotations

from typing import Any

from reconciler.app.config import ConfigError

DISTRIBUTION = "VERSION=HOME[,version=FULL][,python=PATH][,java=PATH][,tarball=URI][,image=NAME][,plugin=JAR]..."


def parse_distribution(text: str) -> tuple[str, dict[str, Any]]:
    """`2.2=/opt/flink-2.2,version=2.2.1,python=/opt/venv/bin/python` of the flag --flink."""
    first, *rest = text.split(",")
    series, separator, home = first.partition("=")
    if not separator or not home:
        raise ConfigError(f'--flink "{text}": write {DISTRIBUTION}')
    fields: dict[str, Any] = {"home": home}
    for part in rest:
        key, separator, value = part.partition("=")
        if key == "plugin" and value:
            fields.setdefault("plugins", []).append(value)
            continue
        if key not in ("version", "python", "java", "tarball", "image") or not separator:
            raise ConfigError(
                f'--flink "{text}": "{part}" is not one of version=, python=, java=, tarball=, image=, plugin='
            )
        fields[key] = value
    return series, fields
