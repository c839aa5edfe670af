"""Looking at JobManagers: one poll per job in flight, often while something is going on, else rarely."""

from __future__ import annotations

from functools import partial

from reconciler.committing import Submit
from reconciler.effects import target_of, upcoming_target
from reconciler.jobs import JobEntry
from reconciler.model.events import Event, FlinkAnswered
from reconciler.ports import Clock, Flink, FlinkTarget, Trigger
from reconciler.timers import Timers

BUSY_S = 0.5
SETTLED_S = 3.0
SETTLED_PER_S = 40.0
"""Polls of settled jobs, of all of them together: one costs milliseconds of CPU, and thousands of jobs would take a
whole core, which the next failure needs. More than 120 settled jobs are looked at less often than every 3 s."""


class Poller:
    """Plans and makes the polls."""

    def __init__(self, flink: Flink, clock: Clock, timers: Timers, submit: Submit) -> None:
        self._flink = flink
        self._clock = clock
        self._timers = timers
        self._submit = submit
        self._slot = float("-inf")
        """The last time that was given to a settled job."""

    def plan(self, entry: JobEntry) -> None:
        """Poll this job soon, if it has a JobManager to poll."""
        if entry.polling or target_of(entry) is None:
            return
        key, now = f"poll/{entry.name}", self._clock.now()
        if not entry.settled():
            self._timers.set_earlier(key, now + BUSY_S)
        elif key not in self._timers:
            self._slot = max(now + SETTLED_S, self._slot + 1 / SETTLED_PER_S)
            self._timers.set(key, self._slot)

    def poll(self, entry: JobEntry) -> None:
        """Ask the JobManager now, about the job and the triggers that the record waits for."""
        target = target_of(entry)
        if entry.polling or target is None or entry.record is None or entry.record.generation is None:
            return
        generation, upcoming = entry.record.generation, upcoming_target(entry)
        entry.polling.add(generation.number)
        ending, pending = generation.ending, entry.record.savepoint
        triggers = []
        if ending is not None and ending.trigger_id is not None and ending.directory is not None:
            triggers.append(Trigger(ending.trigger_id, ending.directory, stop=True))
        if pending is not None:
            triggers.append(Trigger(pending.trigger_id, pending.directory))
        if generation.spec.is_session:
            self._submit("flink", partial(self._observe_session, entry.name, generation.number, target))
        else:
            self._submit("flink", partial(self._observe, entry.name, generation.number, target, triggers))
        if entry.record.upcoming is not None and upcoming is not None:
            entry.polling.add(entry.record.upcoming.number)
            self._submit("flink", partial(self._observe_session, entry.name, entry.record.upcoming.number, upcoming))

    def _observe_session(self, job: str, generation: int, target: FlinkTarget) -> Event:
        return FlinkAnswered(job, generation, self._flink.observe_session(target, self._clock.now()))

    def _observe(self, job: str, generation: int, target: FlinkTarget, triggers: list[Trigger]) -> Event:
        return FlinkAnswered(job, generation, self._flink.observe(target, triggers, self._clock.now()))
