"""Releasing effects: each becomes one call on a pool lane, and no key is in flight twice.

A decision that is computed again before its effect has shown asks for the same keys; those in
flight are dropped, and those just done wait out a pause, so that asking again is a retry with a
bounded rate and not a storm (L2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import structlog

from reconciler.jobs import JobEntry
from reconciler.model.decision import (
    CancelJob,
    CleanUpGeneration,
    DiscardSavepoint,
    DisposeSavepoint,
    Effect,
    FindRestorePoint,
    ForbidJob,
    KillTask,
    OpenGate,
    ReconcileTask,
    RescaleJob,
    StopWithSavepoint,
    SubmitJob,
    TriggerSavepoint,
    WakeAt,
)
from reconciler.model.events import EffectDone, Event, RestoreFound
from reconciler.model.policy import Policy
from reconciler.model.retry import Failure
from reconciler.ports import Cluster, Flink, FlinkRefused, FlinkTarget, PortError, Renderer, Trigger
from reconciler.report import job_manager_url, upcoming_url

log = structlog.get_logger("weir.effects")

Submit = Callable[[str, Callable[[], Event | None]], None]

PAUSE_S = 3.0
LOOK_PAUSE_S = 1.0
SPARE = 256
FORGET_S = 3600.0


def target_of(entry: JobEntry) -> FlinkTarget | None:
    """Where the current generation's JobManager answers, if one runs."""
    record = entry.record
    url = job_manager_url(record, entry.observation()) if record else None
    if record is None or record.generation is None or url is None:
        return None
    generation = record.generation
    shared = generation.session is not None
    return FlinkTarget(generation.flink_version, url, generation.job_id, generation.cluster_id, shared)


def upcoming_target(entry: JobEntry) -> FlinkTarget | None:
    """Where the waiting JobManager of the next generation answers, if one runs."""
    record = entry.record
    url = upcoming_url(record, entry.observation()) if record else None
    if record is None or record.upcoming is None or url is None:
        return None
    upcoming = record.upcoming
    return FlinkTarget(upcoming.flink_version, url, upcoming.job_id, upcoming.cluster_id)


class Effects:
    """Keys in flight, and when a key may be used again."""

    def __init__(self, cluster: Cluster, flink: Flink, renderer: Renderer, policy: Policy, submit: Submit) -> None:
        self._cluster = cluster
        self._flink = flink
        self._renderer = renderer
        self._policy = policy
        self._submit = submit
        self._in_flight: dict[str, tuple[str, float]] = {}
        """Key of each call that is under way: its target, and how long its key rests after it."""
        self._failures: dict[str, int] = {}
        """How often in a row the call of a key failed."""
        self._not_before: dict[str, float] = {}
        self._prune_at = SPARE

    def release(self, entry: JobEntry, effects: Sequence[Effect], now: float) -> float | None:
        """Start what may start now; when the job should be decided again for the rest."""
        again: list[float] = []
        for effect in effects:
            if isinstance(effect, WakeAt):
                again.append(effect.at)
                continue
            call = self._call(entry, effect)
            if call is None or effect.key in self._in_flight:
                continue
            due = self._not_before.get(effect.key, now)
            if due > now:
                again.append(due)
                continue
            lane, work = call
            self._in_flight[effect.key] = lane, self._pause_after(effect)
            generation = entry.record.generation.number if entry.record and entry.record.generation else None
            log.info("effect.released", job=entry.name, generation=generation, effect=effect.key)
            self._submit(lane, partial(_run, entry.name, effect.key, work))
        return min(again, default=None)

    def done(self, key: str, now: float, error: str | None = None) -> None:
        """A call ended, well or not; its effect shows in what is observed next."""
        target, pause = self._in_flight.pop(key, ("", PAUSE_S))
        self._not_before[key] = now + (pause if error is None else self._after_failure(target, key, error, pause))
        if error is None:
            self._failures.pop(key, None)
        if len(self._not_before) > self._prune_at:
            # Who fails and is tried again keeps count, for as long as a retry may be away.
            kept = dict.fromkeys(self._failures, now - FORGET_S)
            self._not_before = {key: at for key, at in self._not_before.items() if at > kept.get(key, now)}
            self._failures = {key: count for key, count in self._failures.items() if key in self._not_before}
            self._prune_at = 2 * len(self._not_before) + SPARE

    def _after_failure(self, target: str, key: str, error: str, pause: float) -> float:
        """As the retry policy for the target says, if there is one."""
        attempt = self._failures[key] = self._failures.get(key, 0) + 1
        if self._policy.retries is None:
            return pause
        chosen = self._policy.retries.delay(Failure(target, key.partition("/")[0], attempt, key, error))
        return pause if chosen is None else chosen

    def _pause_after(self, effect: Effect) -> float:
        match effect:
            case KillTask():
                return self._policy.kill_retry_s
            case ReconcileTask():
                return effect.pause_s
            case FindRestorePoint():
                return LOOK_PAUSE_S
        return PAUSE_S

    def _call(self, entry: JobEntry, effect: Effect) -> tuple[str, Callable[[], Event | None]] | None:
        match effect:
            case KillTask():
                grace = self._policy.kill_grace_s
                return "mesos", partial(self._none, self._cluster.kill, effect.task_id, effect.agent_id, grace)
            case ReconcileTask():
                return "mesos", partial(self._none, self._cluster.reconcile, [(effect.task_id, effect.agent_id)])
            case FindRestorePoint():
                return "flink", partial(self._find, entry.name, effect)
            case ForbidJob():
                work = partial(self._flink.forbid, effect.job_id, effect.cluster_id, effect.flink_version)
                return "flink", partial(self._none, work)
            case CleanUpGeneration():
                return "flink", partial(self._none, self._flink.clean_up, effect.job_id, effect.cluster_id)
            case DiscardSavepoint():
                return "flink", partial(self._none, self._flink.discard, effect.path)
            case OpenGate():
                return "flink", partial(self._none, self._flink.open_gate, effect)
        target = target_of(entry)
        return self._of_job_manager(entry, target, effect) if target is not None else None

    def _of_job_manager(
        self, entry: JobEntry, target: FlinkTarget, effect: Effect
    ) -> tuple[str, Callable[[], Event | None]] | None:
        """The calls that only a running JobManager of the current generation can take."""
        match effect:
            case StopWithSavepoint():
                trigger = Trigger(effect.trigger_id, effect.directory, stop=True)
                return "flink", partial(self._none, self._flink.stop_with_savepoint, target, trigger)
            case TriggerSavepoint():
                trigger = Trigger(effect.trigger_id, effect.directory)
                return "flink", partial(self._none, self._flink.trigger_savepoint, target, trigger)
            case DisposeSavepoint():
                return "flink", partial(self._none, self._flink.dispose, target, effect.path)
            case RescaleJob():
                return "flink", partial(self._none, self._flink.rescale, target, effect.parallelism)
            case SubmitJob():
                assert entry.record is not None
                assert entry.record.generation is not None
                submission = self._renderer.submission(entry.record, entry.record.generation)
                return "flink", partial(self._none, self._flink.submit, target, submission)
            case CancelJob():
                return "flink", partial(self._none, self._flink.cancel, target)
        return None

    def _find(self, job: str, effect: FindRestorePoint) -> Event:
        return RestoreFound(job, effect.key, self._flink.find_restore_point(effect))

    @staticmethod
    def _none(call: Callable[..., None], *args: object) -> None:
        call(*args)


def _run(job: str, key: str, work: Callable[[], Event | None]) -> Event:
    try:
        return work() or EffectDone(job, key)
    except FlinkRefused as error:
        return EffectDone(job, key, str(error), refused=True)
    except PortError as error:
        return EffectDone(job, key, f"{type(error).__name__}: {error}")
    except Exception as error:
        log.exception("effect.crashed", job=job, effect=key)
        return EffectDone(job, key, f"{type(error).__name__}: {error}")
