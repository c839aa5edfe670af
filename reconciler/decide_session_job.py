"""What is different about a job that runs in a session: how it starts, and what proves that it has ended.

Its JobManager is the session's and outlives it, so the death of a process proves nothing. Instead:

    a job is submitted under an id that is persisted before                                 (S4)
      -> Flink refuses an id that it has accepted before, so that submitting again is safe
      -> it has ended when the session's job result store says so: no JobManager of that session
         generation runs it again, or accepts it again                                      (S1)
      -> a job that was submitted but never seen is forbidden: a result of it is planted in that store
      -> or no JobManager of that session generation is alive and none will be

What REST says of a terminal job is not enough: a JobManager that dies between reporting an end and
storing it has a successor that recovers the job and runs it (Flink docs, "High Availability",
JobResultStore).
"""

from __future__ import annotations

from reconciler import decide_ending, decide_running, decide_snapshots, decide_tasks
from reconciler.model.decision import CancelJob, ForbidJob, SubmitJob
from reconciler.model.observation import FlinkObservation, JobState, RestoreView, SessionView
from reconciler.model.reasons import Reason
from reconciler.model.record import EndMode, EndReason, SessionRef
from reconciler.restarts import charge, not_before
from reconciler.turn import Turn

# Beginning


def session_to_start_in(turn: Turn) -> SessionRef | None:
    """The session that the wanted spec names, if it takes jobs now; says why when it does not."""
    name = turn.target.session
    view = turn.seen.sessions.get(name) if name is not None else None
    if view is None or not view.known or not view.ready or view.uid is None or view.generation is None:
        said = view.why if view is not None and view.why else f"session {name} is not known yet"
        turn.wait(f"waiting: {said}")
        return None
    return SessionRef(view.name, view.uid, view.generation, view.flink_version)


def submit(turn: Turn, flink: FlinkObservation | None) -> None:
    """Submit the job until it is listed; a second submission only if there is no state that it could miss (S2)."""
    generation = turn.generation
    if flink is None:
        turn.wait(f"waiting: {_view(turn).why or 'the JobManager of its session does not answer'}")
        return
    if flink.job_state is not None:
        return
    _note_refusal(turn)
    due = not_before(turn)
    if turn.record.blocked is not None or turn.generation.ending is not None:
        turn.wait(turn.record.blocked_why)
    elif turn.now < due:
        turn.wake(due)
        turn.wait(f"waiting for its restart back-off after: {turn.record.restarts.reason or 'a failure'}")
    elif generation.submitted_at is None:
        turn.update_generation(submitted_at=turn.now)
        turn.event(Reason.SUBMITTED, f"generation {generation.number} is submitted to session {_ref(turn).name}")
        turn.emit(SubmitJob(generation.job_id, generation.submit_attempt))
        turn.wait("submitting the job to its session")
    else:
        _submit_again(turn, flink)


def _submit_again(turn: Turn, flink: FlinkObservation) -> None:
    """It was submitted, but is not listed: lost on the way, about to be recovered, or ended unseen."""
    generation, view = turn.generation, _look(turn)
    turn.emit(decide_tasks.find_restore_point(turn))
    if generation.submit_attempt > 1 and turn.record.restarts.reason is not None:
        turn.wait(f"submitting the job again; {turn.record.restarts.reason}")
    if view is None:
        turn.wait("the job was submitted and is not listed; looking for what became of it")
    elif view.terminal is not None:
        decide_running.ended_by_itself(turn, JobState(view.terminal), flink.failure)
    elif view.accepted:
        turn.wait("the session's JobManager has accepted the job; waiting until it has started it")
    elif generation.checkpointed or view.checkpoint_path is not None:
        # Submitted again it would start from where this generation started, and newer state exists.
        decide_ending.begin(turn, EndReason.RESTART, "its session has lost the job's HA metadata", EndMode.KILL)
    elif generation.restore is not None and generation.restore.path in view.missing:
        decide_tasks.block_restore(
            turn, f"what generation {generation.number} starts from is missing: {generation.restore.path}"
        )
    else:
        turn.emit(SubmitJob(generation.job_id, generation.submit_attempt))
        turn.wait("submitting the job to its session")


def _note_refusal(turn: Turn) -> None:
    """The program failed, or Flink cannot read the JAR: the restart strategy says when to try again."""
    refused, generation = turn.seen.submit_refused, turn.generation
    if refused is None or refused.attempt != generation.submit_attempt:
        return
    turn.update_generation(submit_attempt=generation.submit_attempt + 1)
    said = f"the session refused the job: {refused.error}"
    turn.event(Reason.SUBMIT_REFUSED, said[:1000], warning=True)
    charge(turn, said)


# Running


def keep(turn: Turn, flink: FlinkObservation | None) -> bool:
    """What only a session job has to look after; True when nothing else is to be done."""
    ref, view = _ref(turn), _view(turn)
    if turn.generation.submitted_at is None and flink is not None and flink.job_state is not None:
        turn.update_generation(submitted_at=turn.now)  # this record is older than its submission: a restored backup
    generation = turn.generation
    if view.dead(ref):
        # Its session was taken away from under it, by force or by a restored backup.
        decide_ending.begin(turn, EndReason.RESTART, f"session {ref.name} has ended its generation", EndMode.KILL)
        return True
    if view.known and view.url_of(ref) is None and generation.running_since is not None:
        turn.update_generation(running_since=None)  # nothing runs without a JobManager, whatever was seen last
    if flink is not None and flink.job_state is not None and flink.job_state.terminal:
        look = _look(turn)
        if look is None or look.terminal is None:
            turn.emit(decide_tasks.find_restore_point(turn))
            turn.wait(f"the job is {flink.job_state.value}; waiting until its session has stored that")
        else:
            decide_running.ended_by_itself(turn, JobState(look.terminal), flink.failure)
        return True
    if not view.ends(ref):
        return False
    if decide_snapshots.in_flight(turn, flink):
        turn.wait("waiting for the savepoint that is being written, before its session is upgraded")
        return False
    if not turn.may_disrupt():
        return False
    decide_ending.begin(turn, EndReason.UPGRADE, f"session {ref.name} is upgraded")
    return True


def slots(turn: Turn) -> str:
    """What a job of a session may lack, with numbers: its session cannot be asked to grow. Empty for others."""
    if turn.generation.session is None:
        return ""
    view, needed = _view(turn), turn.generation.spec.job.parallelism
    has = f"session {view.name} has {view.slots} for all of its jobs"
    if needed > view.slots:
        return f"; it needs {needed} slots, {has}: raise taskManager.replicas or slots of the session"
    return f"; it needs {needed} slots, {has}"


def session_ends(turn: Turn) -> bool:
    """True while the session waits for this job to end its generation."""
    ref = turn.generation.session
    return ref is not None and _view(turn).ends(ref)


# Ending


def note_end(turn: Turn, flink: FlinkObservation | None) -> None:
    """Take note of what proves that the job cannot run any more (S1)."""
    generation = turn.generation
    if generation.terminal is not None:
        return
    if generation.submitted_at is None or generation.job_id in turn.seen.forbidden or _view(turn).dead(_ref(turn)):
        listed = flink.job_state if flink is not None else None
        state = listed if listed is not None and listed.terminal else JobState.CANCELED
        turn.update_generation(terminal=state.value, running_since=None)
        return
    view = _look(turn)
    if view is not None and view.terminal is not None:
        turn.update_generation(terminal=view.terminal, running_since=None)
        return
    if flink is None or flink.job_state is None or flink.job_state.terminal:
        turn.emit(decide_tasks.find_restore_point(turn))


def cancel(turn: Turn, flink: FlinkObservation | None) -> None:
    """End the job without a savepoint. Its checkpoints stay, and are used unless the mode says stateless."""
    what = f"cancelling generation {turn.generation.number}"
    if flink is None:
        turn.wait(f"{what}; {_view(turn).why or 'the JobManager of its session does not answer'}")
    elif flink.job_state is None:
        _forbid(turn, what)
    elif flink.job_state.terminal:
        turn.wait(f"{what}; the job is {flink.job_state.value}, waiting until its session has stored that")
        due = turn.waited_since(turn.ending.since) + turn.policy.stop_patience_s
        turn.wake(due)
        if turn.now >= due:
            _forbid(turn, what)
    else:
        turn.emit(CancelJob(turn.generation.job_id))
        turn.wait(f"{what}; the job is {flink.job_state.value}")


def _forbid(turn: Turn, what: str) -> None:
    """The session does not list it, but a submission may still be under way."""
    view, generation = _look(turn), turn.generation
    turn.wait(f"{what}; making sure that its session does not run it any more")
    if view is not None and not view.accepted:
        turn.emit(ForbidJob(generation.job_id, generation.cluster_id, _ref(turn).flink_version))


def _ref(turn: Turn) -> SessionRef:
    assert turn.generation.session is not None
    return turn.generation.session


def _view(turn: Turn) -> SessionView:
    name = _ref(turn).name
    return turn.seen.sessions.get(name) or SessionView(name)


def _look(turn: Turn) -> RestoreView | None:
    """The last look at storage and HA metadata, if it is one at this generation that was answered."""
    view = turn.seen.restore
    return view if view is not None and view.answered and view.generation == turn.generation.number else None
