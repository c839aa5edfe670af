"""Changing the parallelism of a running job in place: same generation, same job id, no new JobManager.

Flink's adaptive scheduler takes new resource requirements through REST and restarts the tasks from
the latest checkpoint by itself (Flink docs, "Elastic Scaling": externalized declarative resource
management). Only if Flink refuses, a full upgrade follows: a rescale that waits for TaskManagers
would wait for the same ones after an upgrade, but with the job stopped.
"""

from __future__ import annotations

from reconciler import decide_ending, decide_session_job
from reconciler.model.decision import RescaleJob
from reconciler.model.observation import FlinkObservation, JobState
from reconciler.model.reasons import Reason
from reconciler.model.record import EndReason
from reconciler.model.spec import JobSpec
from reconciler.turn import Turn


def possible(flink: FlinkObservation | None) -> bool:
    """Only a job that runs can be rescaled; any other is upgraded."""
    return flink is not None and flink.job_state is JobState.RUNNING and flink.vertices_running


def begin(turn: Turn, wanted: JobSpec) -> None:
    """The generation's spec is the wanted one from now on: TaskManagers are added for it."""
    before = turn.generation.spec
    tasks = "" if wanted.in_session else f"TaskManagers {before.task_managers()} → {wanted.task_managers()}, "
    turn.update_generation(spec=wanted, scaling_since=turn.now, rescaled=True, late=False)
    turn.event(
        Reason.RESCALE_BEGUN,
        f"generation {turn.generation.number}: parallelism {before.job.parallelism} → {wanted.job.parallelism}, "
        f"{tasks}in place",
    )


def follow(turn: Turn, flink: FlinkObservation | None) -> bool:
    """Go on with a rescale; True when it was given up for an upgrade."""
    generation = turn.generation
    wanted = generation.spec.job.parallelism
    if generation.scaling_since is None:
        # A call that was slow, or a leader that crashed, may have asked for another parallelism since.
        if generation.rescaled and flink is not None and flink.job_state is not None and flink.parallelism != wanted:
            turn.emit(RescaleJob(generation.job_id, wanted))
        return False
    if turn.seen.rescale_refused is not None:
        if not turn.may_disrupt():
            return False
        why = turn.seen.rescale_refused
        turn.update_generation(scaling_since=None)
        decide_ending.begin(turn, EndReason.UPGRADE, f"Flink refused to rescale in place: {why}"[:500])
        return True
    if flink is None:
        return False
    if flink.parallelism == wanted and flink.vertices_running:
        turn.update_generation(scaling_since=None, judged_since=turn.now)
        turn.event(Reason.RESCALED, f"generation {generation.number} runs with parallelism {wanted}, without a restart")
        return False
    turn.emit(RescaleJob(generation.job_id, wanted))
    turn.wait(f"rescaling in place to parallelism {wanted}{decide_session_job.slots(turn)}")
    return False
