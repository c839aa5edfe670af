"""Requests of people about one job, carried out by changing its record (`/weir/control/<name>`).

A request is answered in the same write that persists what follows from it; its effects come from
deciding again, so a crash in between neither loses nor repeats it. What contradicts the state of the
job is refused with a sentence that says why and what would go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler import decide_ending, decide_restore, decide_tasks
from reconciler.diff import DiffClass, diff_class
from reconciler.model import ids, uris
from reconciler.model.control import Action, ControlRequest
from reconciler.model.observation import LIVING, JobState, RestoreView
from reconciler.model.reasons import Reason
from reconciler.model.record import (
    Answer,
    Ending,
    EndMode,
    EndReason,
    ForcedFence,
    Generation,
    Lifecycle,
    Pause,
    RestoreFrom,
    RestoreTold,
    Task,
)
from reconciler.model.spec import JobSpec
from reconciler.turn import Turn

ANSWERS_KEPT = 32
FENCES_KEPT = 16
ANY_TIME = frozenset({Action.PAUSE, Action.UNPAUSE})
"""What may be asked for before Mesos has answered, and while nothing is done."""


class Refused(Exception):
    """The request contradicts what the job is; the message says what to do instead."""


def take(turn: Turn) -> None:
    """Answer the request that waits, if it can be answered now."""
    asked = turn.desired.asked
    if asked is None or turn.answered:
        return
    request = asked.request
    if request is not None and not (_may_be_answered(turn, request) and _path_is_looked_at(turn, request)):
        return
    turn.answered = True
    before = next((answer for answer in turn.record.answers if answer.id == asked.id), None)
    if before is not None:
        turn.event(
            Reason.REQUEST_REPEATED, f"{asked.action} with the id {asked.id} was answered before: {before.answer}"
        )
        return
    if request is None:
        _answer(turn, asked.id, asked.action, False, f"not understood: {asked.error}", "")
        return
    try:
        _refuse_for_sessions(turn, request)
        said = _CARRY_OUT[request.action](turn, request) if request.action in _CARRY_OUT else _elsewhere(request)
    except Refused as refused:
        _answer(turn, asked.id, asked.action, False, str(refused), request.by)
    else:
        _answer(turn, asked.id, asked.action, True, said, request.by)


def _may_be_answered(turn: Turn, request: ControlRequest) -> bool:
    """A pause at any time; what looks at tasks and generations only once they are known."""
    return request.action in ANY_TIME or turn.seen.complete


def _path_is_looked_at(turn: Turn, request: ControlRequest) -> bool:
    """A job that runs is not stopped for a savepoint that nobody has seen to be there."""
    path = request.args.path
    if path is None or turn.record.next_generation == 1 or _look_at(turn, path) is not None:
        return True
    if turn.paused is not None:
        return True  # nothing is stopped, nor looked at, before the pause ends
    turn.emit(decide_tasks.look_at_path(turn, path))
    return False


def _look_at(turn: Turn, path: str) -> RestoreView | None:
    view = turn.seen.restore
    return view if view is not None and view.generation == LIVING and view.asked == (path,) else None


def _answer(turn: Turn, id_: str, action: str, accepted: bool, said: str, by: str) -> None:
    answer = Answer(id_, action, accepted, said[:1000], turn.now, by)
    turn.update(answers=(*turn.record.answers, answer)[-ANSWERS_KEPT:])
    who = f" (asked by {by})" if by else ""
    turn.event(
        Reason.REQUEST_ACCEPTED if accepted else Reason.REQUEST_REFUSED, f"{action}{who}: {said}"[:1000], not accepted
    )


# Pause


def _pause(turn: Turn, request: ControlRequest) -> str:
    if turn.record.paused is not None:
        raise Refused("it is paused already")
    turn.update(paused=Pause(turn.now, request.by, request.args.reason))
    return "paused: it is observed, and nothing is done for it"


def _unpause(turn: Turn, request: ControlRequest) -> str:
    del request
    if turn.record.paused is None:
        everything = "; everything is paused, ask it of all jobs: weir unpause --all" if turn.desired.paused else ""
        raise Refused(f"it is not paused{everything}")
    turn.update(paused=None, unpaused_at=turn.now)
    return "goes on"


# Generations


def _fence(turn: Turn, request: ControlRequest) -> str:
    """S1 by a person's word: nothing waits for the death of these tasks any more."""
    number = request.args.generation
    assert number is not None
    record = turn.record
    unknown = ids.parse_task_id(turn.seen.newer_task) if turn.seen.newer_task is not None else None
    if unknown is not None:
        return _fence_unknown(turn, number, max(unknown.generation, record.next_generation - 1), request.by)
    if number >= record.next_generation:
        raise Refused(f"there is no generation {number}; the newest is {record.next_generation - 1}")
    alive = [task for task in record.tasks if task.generation == number and task.placed and not task.fenced]
    if not alive:
        raise Refused(f"no task of generation {number} may still be alive, so nothing waits for it")
    _note_fence(turn, number, request.by)
    for task in alive:
        turn.replace_task(task, _fenced(turn, task))
    generation = turn.record.generation
    if generation is not None and generation.number == number and generation.terminal is None:
        if generation.ending is None:
            decide_ending.begin(turn, EndReason.RESTART, "a person declared it dead", EndMode.KILL)
        else:
            turn.update_ending(mode=EndMode.KILL)
    return f"generation {number} counts as dead: {len(alive)} of its tasks are no longer waited for"


def _fence_unknown(turn: Turn, number: int, newest: int, by: str) -> str:
    """An old record was restored: the generation that it does not know has ended, its state is looked for."""
    if number < newest:
        raise Refused(f"a task of generation {newest} runs; declare that one dead: --generation {newest}")
    if number > newest:
        raise Refused(f"there is no generation {number}; the newest that was seen is {newest}")
    record = turn.record
    _note_fence(turn, number, by)
    for task in record.tasks:
        turn.replace_task(task, _fenced(turn, task) if task.placed else None)
    lost = Generation(
        number,
        turn.spec,
        ids.flink_job_id(record.uid, number),
        ids.cluster_id(record.name, record.uid, number),
        turn.now,
        was_running=True,
        checkpointed=True,  # for all that is known it was: never start from what is older (S2)
        ending=Ending(EndReason.RESTART, EndMode.KILL, turn.now),
    )
    # Attempts of the lost record are not known, so the numbers go on far above them.
    turn.update(generation=lost, next_generation=number + 1, next_attempt=record.next_attempt + 1000)
    turn.unblock()
    return f"generation {number}, which this record did not know, counts as dead; its newest state is looked for"


def _fenced(turn: Turn, task: Task) -> Task:
    return replace(task, fenced=True, kill_since=task.kill_since or turn.now, kill_why=task.kill_why or "fenced")


def _note_fence(turn: Turn, number: int, by: str) -> None:
    fenced = (*turn.record.fenced, ForcedFence(number, turn.now, by))[-FENCES_KEPT:]
    turn.update(fenced=fenced)
    who = by or "a person"
    turn.event(Reason.FENCED, f"{who} declared generation {number} dead; nothing proves that it is", warning=True)


def _force(turn: Turn, request: ControlRequest) -> str:
    """End the generation without the savepoint that its end waits for."""
    del request
    generation = turn.record.generation
    ending = generation.ending if generation is not None else None
    if generation is None or ending is None or ending.mode is not EndMode.SAVEPOINT or generation.terminal is not None:
        raise Refused("no stop with a savepoint is under way")
    if ending.reason is EndReason.DELETE:
        turn.update_ending(mode=EndMode.CANCEL, since=turn.now)
        return f"generation {generation.number} is cancelled; the delete no longer waits for a final savepoint"
    turn.update_ending(mode=EndMode.KILL)
    return f"generation {generation.number} is killed; the newest checkpoint or savepoint that is found is used"


def _restore_from(turn: Turn, request: ControlRequest) -> str:
    """S2 by a person's word: what the next generation starts from."""
    args, record = request.args, turn.record
    if record.lifecycle is Lifecycle.DELETING or turn.deletion_wanted:
        raise Refused("the job is being deleted")
    why = uris.refusal(args.path, turn.policy.allowed_state) if args.path else None
    if why is not None:
        raise Refused(f"{_named(RestoreFrom.PATH, args.path)[:200]} is refused: {why} (jobs.allowed_savepoints)")
    if args.path is not None:
        _require_there(turn, args.path)
    origin = RestoreFrom.EMPTY if args.empty else RestoreFrom.LATEST if args.latest else RestoreFrom.PATH
    if record.generation is None:
        return _resume_from(turn, origin, args.path)
    finished = turn.generation.ending is None and turn.generation.terminal == JobState.FINISHED.value
    if origin is RestoreFrom.LATEST and finished:
        raise Refused("the job has finished, and its state ended with it; start it anew with --empty, or --path")
    told = RestoreTold(origin, args.path)
    turn.unblock()
    if turn.generation.ending is not None:
        turn.update_ending(told=told, restore_known=False, restore=None)
    else:
        mode = EndMode.KILL if turn.generation.terminal is None else EndMode.NONE
        decide_ending.begin(turn, EndReason.RESTART, "a person says what to start from", mode, told)
    return f"the next generation starts from {_named(origin, args.path)}"


def _require_there(turn: Turn, path: str) -> None:
    view, known = _look_at(turn, path), f"what is known of: weir history {turn.record.name}"
    if view is not None and not view.answered:
        raise Refused(f"nobody can say whether {path} is there: {view.error}; ask again later")
    if view is not None and path in view.missing:
        raise Refused(f"there is no complete savepoint or checkpoint at {path}; {known}")


def _resume_from(turn: Turn, origin: RestoreFrom, path: str | None) -> str:
    """Nothing runs: it is what the job resumes from."""
    record = turn.record
    if record.next_generation == 1:
        raise Refused("nothing has run yet; say it in the desired state: job.initialSavepointPath")
    if origin is RestoreFrom.LATEST:
        newest = record.newest_snapshot() or max(record.snapshots, key=lambda known: known.order, default=None)
        if newest is None:
            raise Refused("no state of this job is known; name one with --path, or start without any: --empty")
        path = newest.path
    told = decide_restore.abandon_for(turn, path)
    turn.update(resume=told)
    turn.unblock()
    return f"the next generation starts from {told.path if told else 'nothing'}"


def _named(origin: RestoreFrom, path: str | None) -> str:
    words = {RestoreFrom.EMPTY: "nothing", RestoreFrom.LATEST: "the newest known state that is there"}
    return words.get(origin, path or "")


def _rollback(turn: Turn, request: ControlRequest) -> str:
    """Another spec than the desired one runs, until the desired one is changed."""
    record, number = turn.record, request.args.generation
    if record.lifecycle is Lifecycle.DELETING or turn.deletion_wanted:
        raise Refused("the job is being deleted")
    if turn.spec.job.state == "suspended":
        raise Refused("the desired state is suspended; resume it first: weir resume")
    wanted, what = _rollback_target(turn, number)
    running = turn.record.generation
    back_to_desired = wanted == turn.spec  # from a rollback, a second one may lead there
    turn.update(rolled_back=None if back_to_desired else turn.spec, rollback_to=None if back_to_desired else wanted)
    turn.unblock()
    if running is not None and running.ending is None:
        mode = None if running.terminal is None else EndMode.NONE
        decide_ending.begin(turn, EndReason.ROLLBACK, f"back to {what}", mode)
    if back_to_desired:
        return f"going back to {what}, which is the desired state"
    return f"going back to {what}; the desired state is not tried again until it is changed"


def _rollback_target(turn: Turn, number: int | None) -> tuple[JobSpec, str]:
    record, past = turn.record, turn.record.history
    running = record.generation.spec if record.generation is not None else turn.target
    if number is not None:
        named = next((old for old in past if old.number == number), None)
        if named is None:
            listed = ", ".join(str(old.number) for old in past) or "none"
            raise Refused(f"the spec of generation {number} is not kept; kept are those of: {listed}")
        if not _differs(running, named.spec):
            raise Refused(f"what runs is the spec of generation {number} already")
        return named.spec, f"the spec of generation {number}"
    if record.stable_spec is not None and _differs(running, record.stable_spec):
        return record.stable_spec, "the last stable spec"
    for old in reversed(past):
        if old.was_stable and _differs(running, old.spec):
            return old.spec, f"the spec of generation {old.number}, the last other one that was stable"
    raise Refused("no other spec of this job was ever stable; see: weir history")


def _differs(running: JobSpec, other: JobSpec) -> bool:
    return diff_class(running, other) >= DiffClass.SCALE


def _refuse_for_sessions(turn: Turn, request: ControlRequest) -> None:
    """A session's end is that of its jobs too, and a session job shares its JobManager: only pauses fit them."""
    generation = turn.record.generation
    in_session = generation is not None and generation.session is not None
    ending = generation is not None and generation.ending is not None
    if request.action in ANY_TIME or (in_session and ending and request.action is Action.RESTORE_FROM):
        return
    if turn.spec.is_session or in_session:
        raise Refused(f"{request.action} is not supported for sessions and the jobs in them")


def _elsewhere(request: ControlRequest) -> str:
    raise Refused(f"{request.action} is not answered by a job")


_CARRY_OUT: Mapping[Action, Callable[[Turn, ControlRequest], str]] = {
    Action.PAUSE: _pause,
    Action.UNPAUSE: _unpause,
    Action.FENCE: _fence,
    Action.FORCE: _force,
    Action.RESTORE_FROM: _restore_from,
    Action.ROLLBACK: _rollback,
}
