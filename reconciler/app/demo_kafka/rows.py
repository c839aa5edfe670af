"""What a row is, and the comparison of what went in with what came out. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """A record of either topic: a JSON object with these two fields."""

    id: int
    value: str

    def encode(self) -> bytes:
        """The record's value."""
        return json.dumps(self._asdict(), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, record: bytes | None) -> Row:
        """The row of a record's value. Raises ValueError, with the record, when it is none."""
        try:
            found = json.loads(record or b"")
            number, value = found.pop("id"), found.pop("value")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ValueError(f"not a row: {record!r}") from None
        if type(number) is not int or type(value) is not str or found:
            raise ValueError(f"not a row: {record!r}")
        return cls(number, value)


@dataclass(frozen=True)
class Comparison:
    """Numbers of rows. `missing`, `duplicated` and `unexpected` are 0 if and only if every row with an even id came
    out exactly once, unchanged, and nothing else did.
    """

    rows: int
    expected: int
    committed: int
    missing: int
    duplicated: int
    unexpected: int
    """Came out without having gone in, or with an odd id."""

    @property
    def complete(self) -> bool:
        return not (self.missing or self.duplicated or self.unexpected)


def compare(source: Iterable[Row], sink: Iterable[Row]) -> Comparison:
    """Compare whole rows, not just ids: the order is not compared, as Kafka keeps it by partition only."""
    went_in, came_out = Counter(source), Counter(sink)
    expected = Counter({row: count for row, count in went_in.items() if row.id % 2 == 0})
    surplus = came_out - expected
    return Comparison(
        rows=went_in.total(),
        expected=expected.total(),
        committed=came_out.total(),
        missing=(expected - came_out).total(),
        duplicated=sum(count for row, count in surplus.items() if row in expected),
        unexpected=sum(count for row, count in surplus.items() if row not in expected),
    )
