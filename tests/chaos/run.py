"""One chaos run: steps of the schedule until the time is over and every class has struck, then the comparison."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile

from reconciler.app.demo.rows import Comparison, compare
from tests.chaos.faults import Struck, strike
from tests.chaos.ground import Ground
from tests.chaos.schedule import CLASSES, CUTS, Step, steps
from tests.chaos.timeline import Timeline
from tests.chaos.verdict import Verdict, judge


@dataclass
class Done:
    """A step that is over. Times in seconds; `at` and `until` since the beginning of the run."""

    step: Step
    at: float
    until: float
    what: list[str]
    verdict: Verdict
    takeovers_s: list[float]


@dataclass
class Result:
    """Everything that the last line says."""

    seed: int
    minutes: float
    done: list[Done] = field(default_factory=list)
    comparison: Comparison | None = None

    @property
    def faults(self) -> int:
        return sum(len(item.step.blows) for item in self.done)

    @property
    def classes(self) -> set[str]:
        return {blow.kind for item in self.done for blow in item.step.blows}

    @property
    def unneeded(self) -> int:
        return sum(item.verdict.unneeded for item in self.done)

    @property
    def takeovers(self) -> list[float]:
        return [seconds for item in self.done for seconds in item.takeovers_s]

    def problems(self) -> list[str]:
        """Why the run failed; empty when it did not."""
        found = self.comparison
        assert found is not None
        lost, twice = found.missing, found.duplicated + found.unexpected
        wrong = [f"{lost} rows lost"] * bool(lost) + [f"{twice} rows duplicated"] * bool(twice)
        wrong += ["counts are not continuous"] * (not found.counts_continuous) + ["no rows"] * (not found.committed)
        wrong += [f"{self.unneeded} unneeded restarts"] * bool(self.unneeded)
        return wrong

    def line(self) -> str:
        found, takeovers = self.comparison, self.takeovers or [0.0]
        rows = "rows were not compared"
        if found is not None:
            twice = found.duplicated + found.unexpected
            rows = f"{found.committed} rows, {found.missing} lost, {twice} duplicated"
        return (
            f"{self.minutes:.1f} minutes, {self.faults} faults ({len(self.classes)} classes), {rows}, "
            f"{self.unneeded} unneeded restarts, takeover median {statistics.median(takeovers):.1f} s, "
            f"max {max(takeovers):.1f} s"
        )


class Run:
    """On a ground whose job runs. `say` is told of each step."""

    def __init__(self, ground: Ground, seed: int, minutes: float, say: Callable[[str], None]) -> None:
        self.ground = ground
        self.timeline = Timeline(ground)
        self.result = Result(seed, 0.0)
        self._minutes = minutes
        self._without: frozenset[str] = CUTS if ground.uncuttable else frozenset()
        self._say = say

    def run(self) -> Result:
        """Raises DemoFailed when something did not recover."""
        self.timeline.start()
        try:
            for step in takewhile(lambda _: not self._over(), steps(self.result.seed, self._without)):
                done = self._step(step)
                self.result.done.append(done)
                self._say(describe(done))
            self._compare()
        finally:
            self.timeline.stop()
            self.result.minutes = self.timeline.now() / 60
        return self.result

    def _over(self) -> bool:
        return self.timeline.now() >= self._minutes * 60 and self.result.classes == set(CLASSES) - self._without

    def _step(self, step: Step) -> Done:
        before, at = self.ground.evidence(), self.timeline.now()
        time.sleep(step.calm_s)
        struck: list[Struck] = []
        takeovers: list[float] = []
        try:
            for number, blow in enumerate(step.blows):
                time.sleep(step.gap_s * number)
                leader = self.ground.leader()
                began = time.monotonic()
                struck.append(strike(self.ground, blow))
                if struck[-1].deposes:
                    self.ground.other_leader(leader)
                    takeovers.append(time.monotonic() - began)
            time.sleep(max(blow.hold_s for blow in step.blows))
        finally:
            for item in struck:
                item.undo()
        self.ground.settle(max((item.generation or 0 for item in struck), default=0) or None)
        verdict = judge(self.ground.evidence().since(before), struck)
        return Done(step, at, self.timeline.now(), [item.what for item in struck], verdict, takeovers)

    def _compare(self) -> None:
        """Row by row, once everything is in the sink and two more checkpoints could have added what came twice."""
        ground = self.ground
        ground.feeder.finish()
        ground.until("every row is in the sink", lambda: ground.sink.rows() >= ground.feeder.evens)
        done = ground.until("checkpoints are counted", ground.job.checkpoints)
        ground.until("two more checkpoints", lambda: (ground.job.checkpoints() or 0) >= done + 2)
        self.result.comparison = compare(ground.feeder.input, ground.feeder.output)


def describe(done: Done) -> str:
    """One line for people."""
    took = f"{done.until - done.at:.0f} s"
    taken = "".join(f", another leads after {seconds:.1f} s" for seconds in done.takeovers_s)
    verdict = done.verdict
    counted = f"{verdict.launched} launched, {verdict.started} started, {verdict.unneeded} unneeded"
    return (
        f"{done.at:6.1f} s  {done.step}: {'; '.join(done.what)}{taken}; settled after {took} ({counted}) {verdict.why}"
    )
