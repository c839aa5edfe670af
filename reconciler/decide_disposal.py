"""Savepoints of a deleted job: which are removed when `snapshots.disposeOnDelete` says so, and which stay.

Removed are those that Weir took itself, into a directory that it made for each. Kept are:

- the final state, where `onDelete: savepoint` asks for one: it is what the tombstone points at;
- whatever the desired state or the record of another job names, a new life of the same name included;
- checkpoints, and savepoints that somebody brought along.

It happens when every task is known dead, by way of storage: no JobManager is left to be asked, and a
savepoint is self-contained (Flink docs, "Savepoints"). The paths are persisted before the first is removed.
"""

from __future__ import annotations

from reconciler.model.decision import DiscardSavepoint
from reconciler.model.reasons import Reason
from reconciler.model.record import Snapshot, SnapshotKind
from reconciler.turn import Turn

PATIENCE_S = 600.0
"""How long storage that does not answer is waited for; a job must not be DELETING for ever."""


def wanted(turn: Turn) -> bool:
    """Whether savepoints go with the job at all. Tasks that were kept may need them."""
    return turn.spec.snapshots.dispose_on_delete and turn.spec.on_delete != "keep"


def final_state(turn: Turn) -> Snapshot | None:
    """The job's last state that is still there when the job is gone."""
    if wanted(turn) and turn.spec.on_delete != "savepoint":
        return None
    return turn.record.newest_snapshot()


def finished(turn: Turn) -> bool:
    """Remove what is to go; True when nothing is left to wait for."""
    if not wanted(turn):
        return True
    _forget_removed(turn)
    if turn.seen.referenced is None:
        turn.wait("deleting; looking for jobs that refer to its savepoints")
        return not _own(turn)
    doomed = _doomed(turn)
    if not doomed:
        return True
    if turn.record.disposal_since is None:
        turn.update(disposal_since=turn.now)
        _tell(turn, doomed)
    turn.update(disposing=tuple(dict.fromkeys((*turn.record.disposing, *doomed))))
    due = turn.waited_since(turn.record.disposal_since or turn.now) + PATIENCE_S
    if turn.now >= due:
        turn.event(Reason.SAVEPOINTS_KEPT, f"could not be removed: {', '.join(doomed)}"[:1000], warning=True)
        return True
    for path in doomed:
        turn.emit(DiscardSavepoint(path))
    turn.wake(due)
    turn.wait(f"deleting; removing {len(doomed)} savepoints from storage")
    return False


def _forget_removed(turn: Turn) -> None:
    gone = set(turn.record.disposing) & turn.seen.disposed
    if gone:
        turn.update(
            disposing=tuple(path for path in turn.record.disposing if path not in gone),
            snapshots=tuple(snapshot for snapshot in turn.record.snapshots if snapshot.path not in gone),
        )


def _own(turn: Turn) -> list[str]:
    """Savepoints that Weir took for this job, less the final state."""
    final = final_state(turn)
    return [snapshot.path for snapshot in turn.record.snapshots if snapshot != final and _taken_here(turn, snapshot)]


def _doomed(turn: Turn) -> list[str]:
    return [path for path in _own(turn) if path not in (turn.seen.referenced or ())]


def _taken_here(turn: Turn, snapshot: Snapshot) -> bool:
    """Only what lies in the directory that its own trigger was given (`Policy.savepoint_dir`)."""
    directory, _, name = snapshot.path.rpartition("/")
    own = f"/{turn.record.uid}/{snapshot.generation}/{snapshot.trigger_id}"
    return snapshot.kind is SnapshotKind.SAVEPOINT and directory.endswith(own) and name.startswith("savepoint-")


def _tell(turn: Turn, doomed: list[str]) -> None:
    kept = [path for path in _own(turn) if path not in doomed]
    also = f"; kept because other jobs refer to them: {', '.join(kept)}" if kept else ""
    turn.event(Reason.SAVEPOINTS_REMOVED, f"disposeOnDelete removes {', '.join(doomed)}{also}"[:1000])
