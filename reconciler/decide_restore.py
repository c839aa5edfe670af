"""What the next generation starts from: the newest state that the ended one left, or nothing that is older (S2).

Storage and HA metadata are read after the end, never before, and what is found is put in order by
(generation, checkpoint id), never by the time of a file.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler import decide_running, decide_tasks
from reconciler.diff import DiffClass, diff_class
from reconciler.model.observation import JobState
from reconciler.model.record import EndMode, EndReason, Snapshot, SnapshotKind
from reconciler.turn import Turn


def determine(turn: Turn) -> None:
    """Find the newest state of the ended generation and persist it, before anything starts from it."""
    generation, ending = turn.generation, turn.ending
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
        turn.emit(decide_tasks.find_restore_point(turn))
        if turn.record.blocked is not None:
            turn.wait(turn.record.blocked_why)
        silent = f" ({view.error})" if view is not None and view.error else ""
        turn.wait(f"looking for the newest state of generation {generation.number}{silent}")
        return
    found = [
        Snapshot(SnapshotKind.SAVEPOINT, path, generation.number, number, ending.trigger_id, turn.now, "found")
        for number, path in view.savepoints
    ]
    if view.checkpoint_path is not None:
        number = view.checkpoint_id or 0
        found.append(Snapshot(SnapshotKind.CHECKPOINT, view.checkpoint_path, generation.number, number, time=turn.now))
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
    if newest is not None and newest.path in view.missing and not _told_where(turn):
        decide_tasks.block_restore(turn, f"the newest state is missing: {newest.path}")
        return
    turn.unblock()
    if not turn.ending.restore_known:
        turn.update_ending(restore_known=True, restore=newest)


def _told_where(turn: Turn) -> bool:
    """The newest state is not to be found: follow what a person has said in the spec since, if anything (S2)."""
    before, wanted = turn.generation.spec.job, turn.spec.job
    path = wanted.initial_savepoint_path
    if path is not None and path != before.initial_savepoint_path:
        told = Snapshot(SnapshotKind.SAVEPOINT, path, turn.generation.number, reason="told")
        turn.update_ending(restore_known=True, restore=told)
    elif wanted.upgrade_mode == "stateless" != before.upgrade_mode:
        turn.update_ending(restore_known=True, restore=None)
    else:
        return False
    turn.event("RESTORE_TOLD", f"the newest state is missing; starting from {path or 'nothing'}, as the spec says")
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
    turn.event("FINISHED", f"generation {turn.generation.number} finished by itself before {reason.value} took effect")
    decide_running.keep(turn)
