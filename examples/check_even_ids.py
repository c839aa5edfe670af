"""Compare what `even_ids.py` was given with what it has committed, in one line.

    python examples/check_even_ids.py --input DIR --output DIR [--wait SECONDS]

Exit code 0: every even id is there exactly once and the counts are 1..N. A file sink commits a file
by renaming it at a checkpoint; until then its name begins with a dot. Only committed files are read.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Numbers of rows. `missing` is what is not committed yet, which after a drain means lost."""

    rows: int
    expected: int
    committed: int
    missing: int
    duplicated: int
    unexpected: int
    counts_continuous: bool

    @property
    def consistent(self) -> bool:
        """Nothing twice, nothing wrong and no gap; rows may still be on their way."""
        return self.duplicated == 0 and self.unexpected == 0 and self.counts_continuous

    @property
    def complete(self) -> bool:
        return self.consistent and self.missing == 0

    def __str__(self) -> str:
        verdict = "OK" if self.complete else "INCOMPLETE" if self.consistent else "WRONG"
        counts = f"counts 1..{self.committed} without a gap" if self.counts_continuous else "counts with gaps"
        missing = f"{self.missing} not committed yet" if verdict == "INCOMPLETE" else f"lost {self.missing}"
        return (
            f"{verdict}: {self.committed}/{self.expected} rows committed (of {self.rows} read), {missing}, "
            f"duplicated {self.duplicated}, unexpected {self.unexpected}, {counts}"
        )


def compare(source: Path, sink: Path) -> Comparison:
    """Read both directories completely; memory grows with the number of rows."""
    rows = [row for file in _files(source) for row in _rows(file)]
    expected = Counter((row["id"], row["value"]) for row in rows if row["id"] % 2 == 0)
    committed = [row for file in _files(sink) for row in _rows(file)]
    found = Counter((row["id"], row["value"]) for row in committed)
    return Comparison(
        rows=len(rows),
        expected=sum(expected.values()),
        committed=len(committed),
        missing=sum((expected - found).values()),
        duplicated=sum(n - expected[key] for key, n in found.items() if 0 < expected[key] < n),
        unexpected=sum(n for key, n in found.items() if expected[key] == 0),
        counts_continuous=sorted(row["count"] for row in committed) == list(range(1, len(committed) + 1)),
    )


def _files(directory: Path) -> list[Path]:
    """Committed files: those whose name does not begin with a dot or an underscore."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_file() and path.name[0] not in "._")


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--wait", type=float, default=0.0, help="seconds to wait for the last rows to be committed")
    options = parser.parse_args()
    deadline = time.monotonic() + options.wait
    result = compare(options.input, options.output)
    while not result.complete and result.consistent and time.monotonic() < deadline:
        time.sleep(0.2)
        result = compare(options.input, options.output)
    print(result)
    return 0 if result.complete else 1


if __name__ == "__main__":
    sys.exit(main())
