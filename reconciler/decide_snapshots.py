"""Savepoints of a job that goes on running: on demand, periodic, and how long they are kept.

A trigger id is persisted before Flink hears of it, and Flink answers a repeated id with the same
savepoint, so one nonce is one savepoint whatever dies in between (faults 38, 39; Flink docs, "REST API":
`triggerId` of /jobs/:jobid/savepoints).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from croniter import croniter

from reconciler.model import ids
from reconciler.model.decision import DisposeSavepoint, TriggerSavepoint
from reconciler.model.observation import FlinkObservation, JobState, Operation, OperationState
from reconciler.model.reasons import Reason
from reconciler.model.record import PendingSavepoint, Snapshot, SnapshotKind
from reconciler.turn import Turn

ATTEMPTS = 3
RETRY_S = 10.0


def take(turn: Turn, flink: FlinkObservation | None) -> None:
    """Begin, follow or end a savepoint of the running job."""
    if turn.record.savepoint is None:
        _begin(turn)
    if turn.record.savepoint is not None and flink is not None:
        _follow(turn, turn.record.savepoint, flink)


def in_flight(turn: Turn, flink: FlinkObservation | None) -> bool:
    """True while Flink writes, or is about to be asked for, a savepoint that an upgrade has to wait for (fault 55).

    One that failed and waits for its next attempt delays nothing.
    """
    pending = turn.record.savepoint
    if pending is None or flink is None:
        return False
    operation = flink.operations.get(pending.trigger_id)
    if operation is None or operation.state is OperationState.UNKNOWN:
        return turn.now >= pending.not_before and flink.job_state is JobState.RUNNING and flink.vertices_running
    return operation.state is OperationState.IN_PROGRESS


def note_completed(turn: Turn, flink: FlinkObservation | None) -> None:
    """A savepoint that is complete is on record, before anything else is decided about its generation."""
    pending = turn.record.savepoint
    if pending is None or flink is None:
        return
    operation = flink.operations.get(pending.trigger_id)
    if operation is not None and operation.state is OperationState.COMPLETED and operation.path is not None:
        remember(turn, operation, pending.trigger_id, pending.reason, flink)
        turn.update(savepoint=None, last_savepoint_at=turn.now)


def _begin(turn: Turn) -> None:
    reason = _due(turn)
    if reason is None:
        return
    record, generation = turn.record, turn.generation
    trigger = ids.trigger_id(record.uid, generation.number, reason, record.next_savepoint)
    directory = turn.policy.savepoint_dir(turn.spec.snapshots.savepoint_dir, record.uid, generation.number, trigger)
    turn.update(
        savepoint=PendingSavepoint(trigger, directory, reason, turn.now),
        savepoint_nonce=turn.spec.job.savepoint_trigger_nonce,
        next_savepoint=record.next_savepoint + 1,
    )
    turn.event(Reason.SAVEPOINT_BEGUN, f"{reason} savepoint of generation {generation.number}")


def _due(turn: Turn) -> str | None:
    """Why a savepoint is to be taken now, if one is."""
    if turn.generation.running_since is None:
        return None
    if turn.spec.job.savepoint_trigger_nonce != turn.record.savepoint_nonce:
        return "manual"
    snapshots = turn.spec.snapshots
    last = max(turn.record.last_savepoint_at or 0.0, turn.generation.started_at)
    due: list[float] = []
    if snapshots.interval is not None:
        due.append(last + snapshots.interval)
    if snapshots.cron is not None:
        # A stored time that lies ahead of the clock is a clock that was wrong once (fault 59).
        start = datetime.fromtimestamp(min(last, turn.now), UTC)
        due.append(float(croniter(snapshots.cron, start).get_next(float)))
    if not due:
        return None
    turn.wake(min(due))
    return "periodic" if turn.now >= min(due) else None


def _follow(turn: Turn, pending: PendingSavepoint, flink: FlinkObservation) -> None:
    operation = flink.operations.get(pending.trigger_id)
    if operation is not None and operation.state is OperationState.FAILED:
        _failed(turn, pending, operation.error or "no reason given")
    elif operation is not None and operation.state is OperationState.IN_PROGRESS:
        turn.wait("running; a savepoint is being written")
    elif turn.now < pending.not_before:
        turn.wake(pending.not_before)
    elif flink.job_state is JobState.RUNNING and flink.vertices_running:
        turn.emit(TriggerSavepoint(turn.generation.job_id, pending.trigger_id, pending.directory))


def _failed(turn: Turn, pending: PendingSavepoint, error: str) -> None:
    """Tried a few times with triggers of their own; the next nonce or period comes in any case."""
    if pending.attempt >= ATTEMPTS:
        turn.update(savepoint=None, last_savepoint_at=turn.now)
        turn.event(Reason.SAVEPOINT_FAILED, f"given up after {ATTEMPTS} attempts: {error}"[:1000], warning=True)
        return
    record, number = turn.record, turn.generation.number
    trigger = ids.trigger_id(record.uid, number, pending.reason, record.next_savepoint)
    directory = turn.policy.savepoint_dir(turn.spec.snapshots.savepoint_dir, record.uid, number, trigger)
    again = replace(
        pending,
        trigger_id=trigger,
        directory=directory,
        attempt=pending.attempt + 1,
        not_before=turn.now + RETRY_S * pending.attempt,
    )
    turn.update(savepoint=again, next_savepoint=record.next_savepoint + 1)
    turn.event(Reason.SAVEPOINT_FAILED, f"tried again: {error}"[:1000], warning=True)


def remember(turn: Turn, done: Operation, trigger_id: str | None, reason: str, flink: FlinkObservation | None) -> None:
    """A completed savepoint is on record before anything is destroyed (faults 41, 42).

    Its checkpoint id is its own: one that is guessed from the latest checkpoint would put a savepoint of a
    job that runs on before checkpoints which are newer (S2, fault 44).
    """
    path = done.path
    if path is None or any(snapshot.path == path for snapshot in turn.record.snapshots):
        return
    number = turn.generation.number
    known = [snapshot.checkpoint_id for snapshot in turn.record.snapshots if snapshot.generation == number]
    latest = flink.latest_checkpoint_id if flink is not None else None
    order = done.checkpoint_id or max([*known, latest or 0]) + 1
    snapshot = Snapshot(SnapshotKind.SAVEPOINT, path, number, order, trigger_id, turn.now, reason)
    turn.update(snapshots=(*turn.record.snapshots, snapshot))
    turn.event(Reason.SAVEPOINT_COMPLETED, f"savepoint of generation {number}: {path}")


# Keeping


def clean_up(turn: Turn, flink: FlinkObservation | None) -> None:
    """Dispose of savepoints beyond `maxCount` or `maxAge`; never the newest nor a referenced one (fault 53)."""
    gone = set(turn.record.disposing) & turn.seen.disposed
    if gone:
        turn.update(
            disposing=tuple(path for path in turn.record.disposing if path not in gone),
            snapshots=tuple(snapshot for snapshot in turn.record.snapshots if snapshot.path not in gone),
        )
    aged = [path for path in _aged(turn) if path not in turn.record.disposing]
    if aged and flink is not None:
        turn.update(disposing=(*turn.record.disposing, *aged))
        turn.event(Reason.SAVEPOINT_DISPOSED, f"no longer kept: {', '.join(aged)}"[:1000])
    if flink is not None:
        for path in turn.record.disposing:
            turn.emit(DisposeSavepoint(path))


def _aged(turn: Turn) -> list[str]:
    keep = turn.spec.snapshots
    ordered = sorted(turn.record.snapshots, key=lambda snapshot: snapshot.order)
    own = [snapshot for snapshot in ordered if snapshot.kind is SnapshotKind.SAVEPOINT and snapshot.trigger_id]
    referenced = _referenced(turn)
    candidates = [snapshot for snapshot in own[:-1] if snapshot.path not in referenced]
    too_many = max(0, len(own) - keep.max_count)
    aged = candidates[:too_many]
    aged += [s for s in candidates[too_many:] if turn.now - s.time > keep.max_age]
    if turn.generation.checkpointed:
        # Restored with NO_CLAIM, so the first checkpoint of this generation refers to nothing older
        # (Flink docs, "Savepoints": claim modes).
        aged += [
            s for s in ordered if s.kind is SnapshotKind.CHECKPOINT and s.path not in referenced and _older(turn, s)
        ]
    return [snapshot.path for snapshot in aged]


def _older(turn: Turn, snapshot: Snapshot) -> bool:
    return snapshot.generation < turn.generation.number


def _referenced(turn: Turn) -> set[str]:
    record = turn.record
    newest = record.newest_snapshot()
    named = [newest, record.resume, turn.generation.restore]
    if turn.generation.ending is not None:
        named.append(turn.generation.ending.restore)
    return {snapshot.path for snapshot in named if snapshot is not None}
