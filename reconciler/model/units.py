"""Durations and sizes with a unit, as users write them ("10s", "768m").

Durations become float seconds, sizes become whole MiB. Units follow Flink's configuration where it
has them (Flink docs, "Configuration": durations `ms s min m h d`, memory `k m g t`).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_MIB = {
    "m": 1.0,
    "mb": 1.0,
    "mib": 1.0,
    "g": 1024.0,
    "gb": 1024.0,
    "gib": 1024.0,
    "t": 1048576.0,
    "tb": 1048576.0,
}
_QUANTITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$")
_LONGEST_SECONDS = 10 * 365 * 86400.0
_LARGEST_MIB = 64 * 1024 * 1024


def parse_duration(value: object) -> float:
    """Seconds of "500ms", "10s", "2m", "1h" or "7d". A bare number is refused: its unit is a guess."""
    if isinstance(value, float):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration is a string with a unit, such as "30s", "5m" or "1h"')
    return _seconds_of(value)


@lru_cache(1024)
def _seconds_of(text: str) -> float:
    """Records are full of the same few durations, and a new leader reads all of them."""
    match = _QUANTITY.match(text)
    if match is None or match[2].lower() not in _SECONDS:
        raise ValueError(f'"{text}" is not a duration; write a number and one of ms, s, m, h, d, such as "30s"')
    seconds = float(match[1]) * _SECONDS[match[2].lower()]
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f'"{text}" is longer than ten years')
    return seconds


def parse_memory(value: object) -> int:
    """MiB of "768m" or "2g", rounded up. A bare number is refused: its unit is a guess."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError('a size is a string with a unit, such as "768m" or "2g"')
    return _mib_of(value)


@lru_cache(1024)
def _mib_of(text: str) -> int:
    match = _QUANTITY.match(text)
    if match is None or match[2].lower() not in _MIB:
        raise ValueError(f'"{text}" is not a size; write a number and one of m, g, t, such as "768m"')
    mib = math.ceil(float(match[1]) * _MIB[match[2].lower()])
    if mib > _LARGEST_MIB:
        raise ValueError(f'"{text}" is more than 64 TiB')
    return mib


def format_duration(seconds: float) -> str:
    """The shortest exact text of a duration, which `parse_duration` reads back to the same number."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds / size)}{unit}"
    milliseconds = f"{round(seconds * 1000)}ms"
    if seconds < 1000 and parse_duration(milliseconds) == seconds:
        return milliseconds
    return format(Decimal(repr(float(seconds))), "f") + "s"


def format_memory(mib: int) -> str:
    """The text of a size, which `parse_memory` reads back."""
    return f"{mib // 1024}g" if mib and mib % 1024 == 0 else f"{mib}m"


def _duration_from_json(value: object) -> float:
    if isinstance(value, bool | int | float):
        raise ValueError('a duration is a string with a unit, such as "30s", "5m" or "1h"')
    return parse_duration(value)


def _memory_from_json(value: object) -> int:
    if isinstance(value, bool | int | float):
        raise ValueError('a size is a string with a unit, such as "768m" or "2g"')
    return parse_memory(value)


Duration = Annotated[
    float,
    BeforeValidator(_duration_from_json),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|sec|m|min|h|d)\s*$"}),
]
Memory = Annotated[
    int,
    BeforeValidator(_memory_from_json),
    PlainSerializer(format_memory, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([mMgGtT]([iI]?[bB])?)\s*$"}),
]
