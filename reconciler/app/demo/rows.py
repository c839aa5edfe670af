"""Rows into the monitored directory and out of the sink."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from pathlib import Path
from typing import Any, Protocol

from reconciler.app.demo.poem import line

REPOSITORY = Path(__file__).resolve().parents[3]
JOB_FILE = REPOSITORY / "examples" / "even_ids.py"
CHECK_FILE = REPOSITORY / "examples" / "check_even_ids.py"


class Feeder:
    """Appends rows `(id, value)`: a file of `batch` rows every `every` seconds.

    A file is written outside the monitored directory and renamed into it, so that Flink never reads half of one.
    Rows are counted after the rename: a row that is counted has been fed.
    """

    def __init__(self, data: Path, batch: int = 20, every: float = 0.5) -> None:
        self.input = data / "in"
        self.output = data / "out"
        self._staging = data / "staging"
        for directory in (self.input, self.output, self._staging):
            directory.mkdir(parents=True, exist_ok=True)
        self._batch = batch
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._files = 0
        self.rows = 0
        self.error: OSError | None = None

    @property
    def evens(self) -> int:
        """How many rows with an even id were fed so far."""
        return self.rows // 2

    def start(self) -> None:
        """Feed until `finish`."""
        self._thread.start()

    def finish(self) -> int:
        """Stop after the current file; how many rows there are in all."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30.0)
        if self.error is not None:
            raise self.error
        return self.rows

    def _run(self) -> None:
        try:
            self._feed()
            while not self._stop.wait(self._every):
                self._feed()
        except OSError as error:
            self.error = error

    def _feed(self) -> None:
        ids = range(self.rows + 1, self.rows + self._batch + 1)
        name = f"rows-{self._files + 1:06d}.json"
        staged = self._staging / name
        staged.write_text("".join(json.dumps({"id": n, "value": line(n)}) + "\n" for n in ids), encoding="utf-8")
        staged.rename(self.input / name)
        self._files += 1
        self.rows = ids[-1]


class Sink:
    """Counts committed rows. A committed file never changes again, so each is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._counted: dict[str, int] = {}

    def rows(self) -> int:
        """Rows in committed files; until it is committed, a file's name begins with a dot."""
        if not self._directory.is_dir():
            return 0
        for path in self._directory.iterdir():
            if path.name[0] not in "._" and path.name not in self._counted and path.is_file():
                self._counted[path.name] = path.read_bytes().count(b"\n")
        return sum(self._counted.values())


class Comparison(Protocol):
    """The result of `examples/check_even_ids.py`, which people can run themselves too."""

    rows: int
    expected: int
    committed: int
    missing: int
    duplicated: int
    unexpected: int
    counts_continuous: bool

    @property
    def consistent(self) -> bool: ...

    @property
    def complete(self) -> bool: ...


def compare(source: Path, sink: Path) -> Comparison:
    """Every row of both directories, compared by the checker of the examples."""
    result: Comparison = _checker().compare(source, sink)
    return result


def _checker() -> Any:
    """The examples are scripts beside the packages, not a package."""
    name = "weir_example_check_even_ids"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, CHECK_FILE)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
