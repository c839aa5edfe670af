"""A cap on what Weir itself interrupts: so many disruptions within an interval, the rest wait in line (S7).

A disruption is the end of a generation that may be running, a change of its parallelism in place, or the
kill of a task that such a generation uses. A bad release of the operator, a bad default or an edit of every
job would begin all of them within one second; capped, somebody sees the first ones and can stop the rest
(`weir pause --all`). Not counted, and never held back:

- what follows from an intent that is persisted already: the end was counted when it was begun;
- kills in a generation that has ended, and of one of two attempts of the same index (a surplus JobManager);
- what a person asked for by a request, and deletes that a person confirmed.

Whatever decided it, the cap looks at what would be persisted: a way to disrupt that does not know of the cap
is held as well. A new leader counts what its predecessors began, because records say when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reconciler.model.decision import Decision
from reconciler.model.record import Generation, Record, Role, Task
from reconciler.report import timestamp


def disruptions(before: Record | None, after: Record | None) -> frozenset[str]:
    """What a decision begins to interrupt, by a name that is the same however often it is decided."""
    generation = before.generation if before is not None else None
    if before is None or after is None or generation is None:
        return frozenset()
    if generation.ending is not None or generation.terminal is not None:
        return frozenset()
    now = after.generation
    if now is None or now.number != generation.number or now.ending is not None:
        ended = now is not None and now.number == generation.number and now.terminal is not None
        return frozenset() if ended or not _may_run(generation, after) else frozenset({_end(before, generation.number)})
    if now.terminal is not None:
        return frozenset()
    found = {task.task_id for task in _killed(before, after, generation.number) if task.task_id is not None}
    if now.scaling_since is not None and generation.scaling_since is None:
        found.add(f"rescale/{before.name}/{generation.number}/{now.spec.job.parallelism}")
    return frozenset(found)


def _end(record: Record, number: int) -> str:
    return f"end/{record.name}/{record.uid}/{number}"


def _may_run(generation: Generation, after: Record) -> bool:
    """False when no JobManager is left that could be interrupted."""
    return generation.session is not None or any(
        task.role is Role.JOB_MANAGER and task.generation == generation.number and task.placed and not task.fenced
        for task in after.tasks
    )


def _killed(before: Record, after: Record, number: int) -> list[Task]:
    """Tasks that are killed from now on, but for those beside which another attempt stays."""
    dying = {task.task_id for task in before.tasks if task.kill_since is not None}
    mine = [task for task in after.tasks if task.generation == number]
    staying = {(task.role, task.index) for task in mine if task.kill_since is None}
    return [
        task
        for task in mine
        if task.kill_since is not None and task.task_id not in dying and (task.role, task.index) not in staying
    ]


@dataclass(frozen=True, slots=True)
class _Waiting:
    size: int
    due: float
    why: str


class DisruptionCap:
    """What was begun within the last interval, and who waits. `most` disruptions in `interval_s` seconds."""

    def __init__(self, most: int, interval_s: float) -> None:
        self._most = most
        self._interval_s = interval_s
        self._begun: dict[str, float] = {}
        self._waiting: dict[str, _Waiting] = {}
        """In the order in which they came."""

    def loaded(self, records: Iterable[Record | None], now: float) -> None:
        """What earlier leaders began: a leader that crashes again and again gets no more than one that lives."""
        for record in records:
            for name, at in _begun(record) if record is not None else ():
                if now - at < self._interval_s:
                    self._begun[name] = at

    def bound(
        self, job: str, before: Record | None, decision: Decision, calmly: Callable[[str], Decision], now: float
    ) -> tuple[Decision, float | None]:
        """The decision if it may be carried out now; else one without its disruption, and when its turn comes.

        `calmly` decides again; it is told why nothing may be interrupted.
        """
        found = disruptions(before, decision.record) if not decision.answered else frozenset()
        if self._admit(job, found, now):
            return decision, None
        waiting = self._waiting[job]
        calm = calmly(waiting.why)
        if disruptions(before, calm.record):
            calm = Decision(before, (), waiting.why, paused=True)
        return calm, waiting.due

    def forget(self, job: str) -> None:
        """It waits for nothing any more."""
        self._waiting.pop(job, None)

    def _admit(self, job: str, found: frozenset[str], now: float) -> bool:
        self._begun = {name: at for name, at in self._begun.items() if now - at < self._interval_s}
        fresh = found - self._begun.keys()
        if not fresh:
            self._begun |= dict.fromkeys(found, now)  # decided again, because its write did not get through
            self.forget(job)
            return True
        free = self._most - len(self._begun)
        needed = min(len(fresh), self._most)  # one that is larger than all that may be begins alone
        ahead = self._ahead(job, now) if free > 0 else 0
        if ahead + needed <= free:
            self._begun |= dict.fromkeys(found, now)
            self.forget(job)
            return True
        known = self._waiting.get(job)
        if known is None or known.due <= now or known.size != needed:
            self._waiting[job] = self._enqueue(job, needed, now)
        return False

    def _ahead(self, job: str, now: float) -> int:
        """What those who came before need; who did not come back at its turn wants it no more."""
        count = 0
        for name, waiting in self._waiting.items():
            if name == job:
                break
            if now - waiting.due < self._interval_s:
                count += waiting.size
        return count

    def _enqueue(self, job: str, needed: int, now: float) -> _Waiting:
        place = self._ahead(job, now) + needed
        over = max(place - (self._most - len(self._begun)), 1)
        ends = sorted(at + self._interval_s for at in self._begun.values()) or [now + self._interval_s]
        rounds, number = divmod(over - 1, len(ends))
        due = ends[number] + rounds * self._interval_s
        why = (
            f"at most {self._most} disruptions of running jobs are begun in {self._interval_s:g} s; this job is number "
            f"{place} in line, its turn comes at about {timestamp(due)}. To stop all of them: weir pause --all; to go "
            "on faster: limits.disruptions in the operator's configuration"
        )
        return _Waiting(needed, due, why)


def _begun(record: Record) -> Iterable[tuple[str, float]]:
    """What a record tells of disruptions and when they were begun, or later."""
    generation = record.generation
    for old in record.history:
        yield _end(record, old.number), old.ended_at
    if generation is None:
        return
    if generation.ending is not None:
        yield _end(record, generation.number), generation.ending.since
        return
    if generation.scaling_since is not None:
        parallelism = generation.spec.job.parallelism
        yield f"rescale/{record.name}/{generation.number}/{parallelism}", generation.scaling_since
    for task in record.tasks:
        if task.generation == generation.number and task.kill_since is not None and task.task_id is not None:
            yield task.task_id, task.kill_since
