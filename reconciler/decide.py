"""What must happen to one job now: a pure function of desired state, memory and observation.

The order below is the order of precedence, and each step assumes the ones before it:

    1. a delete is noted; nothing is done before Mesos has answered for every task, (S6)
       nor while a person has the job paused
    2. deaths are taken note of, and charged to the restart budget if they count
    3. a newer valid desired state is taken up, a person's request is answered      (S3)
    4. an ending that was begun is followed to its end                              (S1, S2, S4)
    5. otherwise the job converges: delete, suspend, start, upgrade or keep running
    6. what was started beforehand for an upgrade goes, or is let in                (S1, S2)
    7. Mesos is asked about what is doubtful, kills are repeated, ended generations cleaned up
    8. the lifecycle is named

`decide` reads no clock and draws no random number. Called twice with the same arguments it answers
the same, and called with its own record it asks for the same effects until they show (L2).
"""

from __future__ import annotations

from dataclasses import replace

from reconciler import (
    decide_disposal,
    decide_ending,
    decide_health,
    decide_requests,
    decide_running,
    decide_session,
    decide_tasks,
    decide_upcoming,
    lifecycle,
)
from reconciler.model import ids
from reconciler.model.decision import Decision, Desired
from reconciler.model.observation import Observation
from reconciler.model.policy import Policy
from reconciler.model.reasons import Reason
from reconciler.model.record import Lifecycle, Record, SpecRef, Tombstone
from reconciler.model.spec import JobSpec
from reconciler.turn import Turn


def decide(desired: Desired, record: Record | None, seen: Observation, now: float, policy: Policy) -> Decision:
    """The next record, the effects that follow once it is persisted, and one sentence why."""
    if record is None or record.lifecycle is Lifecycle.DELETED:
        return _decide_new(desired, record, seen, now, policy)
    turn = Turn(desired, record, seen, now, policy)
    if turn.deletion_wanted:
        decide_ending.note_delete(turn)
    if turn.paused is not None or not seen.complete:
        decide_requests.take(turn)
        turn.wait(turn.paused or "waiting for Mesos to say what became of every task of this job")
        return turn.at_rest()
    if seen.newer_task is not None:
        return _decide_too_old(turn, seen.newer_task)
    decide_tasks.absorb_deaths(turn)
    _take_up_spec(turn)
    decide_requests.take(turn)
    if turn.paused is not None:
        turn.wait(turn.paused)
        return turn.at_rest()
    generation = turn.record.generation
    ending = generation is not None and generation.ending is not None
    if ending and turn.generation.spec.is_session:
        decide_session.follow(turn)
    elif ending:
        decide_ending.follow(turn)
    else:
        _converge(turn)
    decide_upcoming.settle(turn)
    decide_health.ask_about_doubtful(turn)
    decide_tasks.drive_kills(turn)
    decide_tasks.clean_up_retired(turn)
    if _gone(turn) and decide_disposal.finished(turn):
        return _bury(turn)
    lifecycle.name(turn)
    return turn.decision()


def _decide_too_old(turn: Turn, newer_task: str) -> Decision:
    """Nothing is touched until a person says what became of the generations that the record does not know."""
    decide_requests.take(turn)
    if turn.answered and turn.record.blocked is None:
        turn.wait("a person declared the unknown generation dead")
        return turn.decision()
    name = ids.parse_task_id(newer_task)
    number = max(name.generation if name is not None else 0, turn.record.next_generation - 1)
    turn.block(
        Reason.RECORD_TOO_OLD,
        f"{newer_task} runs, but this record does not know it: an old backup was restored. Nothing is touched; put the "
        f"newer record back; or, if generation {number} is to be given up and started again from its newest state: "
        f"weir fence {turn.record.name} --generation {number}",
    )
    lifecycle.name(turn)
    return turn.decision()


def _decide_new(desired: Desired, old: Record | None, seen: Observation, now: float, policy: Policy) -> Decision:
    if not desired.present or desired.ref is None or (old is not None and desired.ref.czxid == old.seen.czxid):
        expired = old is not None and now - (old.deleted_at or 0.0) > policy.tombstone_s
        return Decision(None if expired else old, (), "deleted")
    if desired.spec is None:
        return Decision(old, (), "not accepted, nothing runs yet")
    if desired.paused is not None:
        return Decision(old, (), desired.paused, paused=True)
    fresh = _new_record(desired.name, desired.ref, desired.spec, old)
    turn = Turn(desired, fresh, replace(seen, complete=True), now, policy)
    turn.event(Reason.CREATED, f"accepted version {desired.ref.version} of the desired state")
    _converge(turn)
    lifecycle.name(turn)
    return turn.decision()


def _new_record(name: str, ref: SpecRef, spec: JobSpec, old: Record | None) -> Record:
    tombstones = () if old is None else old.tombstones
    nonce = spec.job.savepoint_trigger_nonce  # only a change of it asks for a savepoint
    return Record(name, ids.job_uid(name, ref.czxid), ref, spec=spec, savepoint_nonce=nonce, tombstones=tombstones)


def _take_up_spec(turn: Turn) -> None:
    """Remember the newest valid spec. A recreated node is another job: the old one ends first (fault 51)."""
    desired, record = turn.desired, turn.record
    if desired.spec is None or desired.ref is None or record.lifecycle is Lifecycle.DELETING:
        return
    if desired.ref.czxid != record.seen.czxid and not desired.adopt:
        return
    if desired.ref == record.seen and desired.spec == record.spec:
        return
    if desired.spec != record.spec:
        turn.unblock()
        turn.update(rolled_back=None, rollback_to=None)
    turn.update(seen=desired.ref, spec=desired.spec)


def _converge(turn: Turn) -> None:
    if turn.spec.is_session:
        decide_session.converge(turn)
    elif turn.record.lifecycle is Lifecycle.DELETING:
        decide_ending.begin_delete(turn)
    elif turn.record.generation is None:
        decide_running.start_or_rest(turn)
    else:
        decide_running.keep(turn)


def _gone(turn: Turn) -> bool:
    record = turn.record
    deleting = record.lifecycle is Lifecycle.DELETING or turn.deletion_wanted
    alive = [task for task in record.tasks if not task.fenced]
    return deleting and record.generation is None and not alive and not record.retired


def _bury(turn: Turn) -> Decision:
    """Every task is known dead, or left running on purpose: only the final path is kept, for a while."""
    record = turn.record
    final = decide_disposal.final_state(turn)
    stone = Tombstone(record.uid, turn.now, final.path if final else None)
    keep = turn.spec.on_delete == "keep"
    where = f"; its {'newest known' if keep else 'final'} state is {final.path}" if final else ""
    turn.event(Reason.DELETED, ("what ran is left running" if keep else "every task is gone") + where)
    # `onDelete: keep` left its tasks running: with a tombstone the next status update would kill them.
    stones = record.tombstones if keep else (*record.tombstones, stone)[-16:]
    # Fenced tasks that show up again are killed by the tombstone.
    turn.update(lifecycle=Lifecycle.DELETED, deleted_at=turn.now, tombstones=stones, tasks=())
    turn.unblock()
    turn.why = f"deleted{where}"
    return turn.decision()
