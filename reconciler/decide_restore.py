"""What the next generation starts from: the newest known state, or what a person says (S2).

The newest is the highest (generation, checkpoint id), never a file's time, and it is looked for when
the job is terminal or the last JobManager dead, never before (fault 44).
"""

from __future__ import annotations

from dataclasses import replace

from reconciler import decide_running, decide_tasks
from reconciler.diff import DiffClass, diff_class
from reconciler.model.observation import JobState, RestoreView
from reconciler.model.reasons import Reason
from reconciler.model.record import EndMode, EndReason, RestoreFrom, Snapshot, SnapshotKind
from reconciler.turn import Turn


def determine(turn: Turn) -> None:
    """Find the newest state of the ended generation and persist it, before anything starts from it."""
    generation, ending = turn.generation, turn.ending
    if ending.told is not None and ending.told.origin is not RestoreFrom.LATEST:
        _follow_told(turn, ending.told.path)
        return
    if ending.told is not None:
        _follow_told_latest(turn)
        return
    if _stateless(turn):
        turn.update_ending(restore_known=True, restore=None)  # stateless: the spec says so explicitly
        return
    stopped_with = [s for s in turn.record.snapshots if s.trigger_id == ending.trigger_id and s.trigger_id]
    if generation.terminal == JobState.FINISHED.value and stopped_with:
        # A stop that ended in FINISHED: nothing of this generation can be newer than its savepoint.
        turn.update_ending(restore_known=True, restore=stopped_with[-1])
        return
    if generation.terminal == JobState.FINISHED.value and ending.mode is EndMode.NONE:
        turn.update_ending(restore_known=True, restore=None)  # it ran to its own end: its state ended with it
        return
    view = turn.seen.restore
    if view is None or not view.answered or view.generation != generation.number:
        _look(turn, view)
        return
    found = _found(turn, view)
    _remember(turn, found)
    if generation.terminal == JobState.FINISHED.value and not found and not stopped_with:
        _finished_meanwhile(turn)
        return
    newest = turn.record.newest_snapshot()
    if newest is None or newest.order < (generation.number, 0, 0):
        if generation.checkpointed and not _told_where(turn):
            missing = f"generation {generation.number} completed checkpoints, but none of them is found"
            decide_tasks.block_restore(turn, missing)
            return
        newest = generation.restore if newest is None else newest
    if view.checkpoint_lost and not _told_where(turn):
        # A savepoint of before does not stand in for a checkpoint that came after it (fault 43).
        decide_tasks.block_restore(turn, f"the newest checkpoint of generation {generation.number} is missing")
        return
    if newest is not None and newest.path in view.missing and not _told_where(turn):
        decide_tasks.block_restore(turn, f"the newest state is missing: {newest.path}")
        return
    turn.unblock()
    if not turn.ending.restore_known:
        turn.update_ending(restore_known=True, restore=newest)


def _look(turn: Turn, view: RestoreView | None) -> None:
    turn.emit(decide_tasks.find_restore_point(turn))
    if turn.record.blocked is not None:
        turn.wait(turn.record.blocked_why)
    silent = f" ({view.error})" if view is not None and view.error else ""
    turn.wait(f"looking for the newest state of generation {turn.generation.number}{silent}")


def _found(turn: Turn, view: RestoreView) -> list[Snapshot]:
    """What the look at storage and HA metadata brought up."""
    number = turn.generation.number
    found = [
        Snapshot(SnapshotKind.SAVEPOINT, path, number, checkpoint, _trigger_of(turn, path), turn.now, "found")
        for checkpoint, path in view.savepoints
    ]
    if view.checkpoint_path is not None:
        checkpoint = view.checkpoint_id or 0
        found.append(Snapshot(SnapshotKind.CHECKPOINT, view.checkpoint_path, number, checkpoint, time=turn.now))
    return found


def _trigger_of(turn: Turn, path: str) -> str | None:
    """Whose directory it lies in: a savepoint that was pending, or else the ending's own."""
    pending = turn.record.savepoint
    if pending is not None and path.startswith(f"{pending.directory.rstrip('/')}/"):
        return pending.trigger_id
    return turn.ending.trigger_id


def _follow_told(turn: Turn, path: str | None) -> None:
    """Start from what a person said, and from nothing else unless told again (S2)."""
    told = abandon_for(turn, path)
    turn.update_ending(restore_known=True, restore=told)
    turn.unblock()
    turn.event(Reason.RESTORE_TOLD, f"starting from {path or 'nothing'}, as a person said")


def _follow_told_latest(turn: Turn) -> None:
    """Start from the newest state that is really there, although newer ones may be missing."""
    view = turn.seen.restore
    if view is None or not view.answered or view.generation != turn.generation.number:
        _look(turn, view)
        return
    _remember(turn, _found(turn, view))
    generation, known = turn.generation, turn.record.snapshots
    if generation.restore is not None and all(s.path != generation.restore.path for s in known):
        known = (generation.restore, *known)
    if not known and not generation.checkpointed:
        _follow_told(turn, None)  # nothing was ever stored, so that is the newest
        return
    there = [s for s in known if s.path not in view.missing]
    # What was given up counts again when nothing else is left.
    there = [s for s in there if not s.abandoned] or there
    if not there and generation.terminal == JobState.FINISHED.value:
        _finished_meanwhile(turn)
        return
    if not there:
        turn.update_ending(told=None)
        decide_tasks.block_restore(turn, "no state of this job that is known of is there")
        return
    newest = max(there, key=lambda snapshot: snapshot.order)
    _follow_told(turn, newest.path)


def abandon_for(turn: Turn, path: str | None) -> Snapshot | None:
    """The state at `path` is the newest from now on: what is newer is abandoned; without a path everything is."""
    record, told = turn.record, None
    if path is not None:
        known = next((snapshot for snapshot in record.snapshots if snapshot.path == path), None)
        number = record.next_generation - 1
        told = known or Snapshot(SnapshotKind.SAVEPOINT, path, number, time=turn.now, reason="told")
        told = replace(told, abandoned=False)
    others = [
        replace(snapshot, abandoned=True) if told is None or snapshot.order > told.order else snapshot
        for snapshot in record.snapshots
        if snapshot.path != path
    ]
    turn.update(snapshots=(*others, told) if told is not None else tuple(others))
    return told


def _told_where(turn: Turn) -> bool:
    """The newest state is not to be found: follow what a person has said in the spec since, if anything (S2)."""
    before, wanted = turn.generation.spec.job, turn.spec.job
    path = wanted.initial_savepoint_path
    if path is not None and path != before.initial_savepoint_path:
        _follow_told(turn, path)
    elif wanted.upgrade_mode == "stateless" != before.upgrade_mode:
        _follow_told(turn, None)
    else:
        return False
    return True


def _stateless(turn: Turn) -> bool:
    """A changed spec that says stateless starts empty; an unchanged one that failed keeps its state.

    What counts is what the spec says when the generation has ended: a cancel that was begun under
    `stateless` leaves its checkpoints, and they are used if nobody wants to start empty any more (S2).
    """
    if turn.deletion_wanted or turn.ending.reason is EndReason.DELETE:
        return turn.ending.mode is EndMode.CANCEL
    if turn.spec.job.upgrade_mode != "stateless":
        return False
    return turn.ending.mode is EndMode.CANCEL or diff_class(turn.generation.spec, turn.target) >= DiffClass.SCALE


def _remember(turn: Turn, found: list[Snapshot]) -> None:
    """Ids that were read from the files replace ids that were guessed."""
    paths = {snapshot.path for snapshot in found}
    kept = [snapshot for snapshot in turn.record.snapshots if snapshot.path not in paths]
    known = {snapshot.path: snapshot for snapshot in turn.record.snapshots}
    merged = [
        replace(known[snapshot.path], checkpoint_id=snapshot.checkpoint_id or known[snapshot.path].checkpoint_id)
        if snapshot.path in known
        else snapshot
        for snapshot in found
    ]
    turn.update(snapshots=(*kept, *merged))


def _finished_meanwhile(turn: Turn) -> None:
    """The job reached its own end while it was being stopped: there is nothing to restore and nothing to start."""
    reason = turn.ending.reason
    turn.update_generation(ending=None, spec=turn.target)
    turn.event(
        Reason.FINISHED, f"generation {turn.generation.number} finished by itself before {reason.value} took effect"
    )
    decide_running.keep(turn)
