"""What was going on, twice a second: who leads, what the job does, how many rows there are."""

from __future__ import annotations

import csv
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from reconciler.app.demo.rows import Sink
from tests.chaos.ground import Ground

EVERY_S = 0.5


@dataclass(frozen=True)
class Sample:
    """One look; `t` in seconds since the beginning. What could not be read is empty."""

    t: float
    epoch: int | None
    leader: str
    lifecycle: str
    job_state: str
    generation: int | None
    rows_fed: int
    rows_committed: int


class Timeline:
    """Samples from a thread of its own, until it is stopped."""

    def __init__(self, ground: Ground) -> None:
        self.samples: list[Sample] = []
        self.began = time.monotonic()
        self._ground = ground
        self._sink = Sink(ground.feeder.output)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timeline", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30.0)

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.samples.append(self._look())

    def _look(self) -> Sample:
        leader, status = self._ground.weir.leader(), self._ground.job.status()
        return Sample(
            round(self.now(), 2),
            leader.epoch if leader else None,
            leader.replica if leader else "",
            status.lifecycle if status else "",
            (status.job_state or "") if status else "",
            status.generation if status else None,
            self._ground.feeder.evens,
            self._sink.rows(),
        )


def write_csv(samples: list[Sample], path: Path) -> None:
    with path.open("w", newline="") as out:
        table = csv.DictWriter(out, [field.name for field in fields(Sample)])
        table.writeheader()
        table.writerows(asdict(sample) for sample in samples)
