"""Reason codes: what an entry of a job's history, or BLOCKED, is about. One enumeration, published in docs/events.md.

People read the message beside a code; scripts, alerts and metrics go by the code. A code is never used for two
things and never renamed: histories that are stored hold it.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The name is the code. `MEANINGS` says what each of them tells."""

    # where a job is: told when that changes
    CREATED = "CREATED"
    UPGRADING = "UPGRADING"
    DEPLOYED = "DEPLOYED"
    STABLE = "STABLE"
    RECONCILING = "RECONCILING"
    SUSPENDED = "SUSPENDED"
    FINISHED = "FINISHED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    DELETING = "DELETING"
    DELETED = "DELETED"
    # generations
    GENERATION_STARTED = "GENERATION_STARTED"
    RUNNING = "RUNNING"
    UPGRADE_BEGUN = "UPGRADE_BEGUN"
    UPGRADE_ENDED = "UPGRADE_ENDED"
    SUSPEND_BEGUN = "SUSPEND_BEGUN"
    SUSPEND_ENDED = "SUSPEND_ENDED"
    RESTART_BEGUN = "RESTART_BEGUN"
    RESTART_ENDED = "RESTART_ENDED"
    ROLLBACK_BEGUN = "ROLLBACK_BEGUN"
    ROLLBACK_ENDED = "ROLLBACK_ENDED"
    DELETE_BEGUN = "DELETE_BEGUN"
    DELETE_ENDED = "DELETE_ENDED"
    ENDING_ABANDONED = "ENDING_ABANDONED"
    LAST_STATE_FALLBACK = "LAST_STATE_FALLBACK"
    PRESTART = "PRESTART"
    PRESTART_SHORT = "PRESTART_SHORT"
    PRESTART_DROPPED = "PRESTART_DROPPED"
    RESCALE_BEGUN = "RESCALE_BEGUN"
    RESCALED = "RESCALED"
    SUBMITTED = "SUBMITTED"
    SUBMIT_REFUSED = "SUBMIT_REFUSED"
    # tasks
    TASK_LOST = "TASK_LOST"
    TASK_NOT_STARTED = "TASK_NOT_STARTED"
    TASK_UNREACHABLE = "TASK_UNREACHABLE"
    TASK_BACK = "TASK_BACK"
    TASK_MOVING = "TASK_MOVING"
    TASK_MOVED = "TASK_MOVED"
    LAUNCH_TIMEOUT = "LAUNCH_TIMEOUT"
    NOT_REGISTERED = "NOT_REGISTERED"
    DRAINED = "DRAINED"
    # health
    JOB_FAILED = "JOB_FAILED"
    JOB_CANCELED = "JOB_CANCELED"
    UNHEALTHY = "UNHEALTHY"
    NOT_READY = "NOT_READY"
    STRATEGY_FAILED = "STRATEGY_FAILED"
    # savepoints
    SAVEPOINT_BEGUN = "SAVEPOINT_BEGUN"
    SAVEPOINT_COMPLETED = "SAVEPOINT_COMPLETED"
    SAVEPOINT_FAILED = "SAVEPOINT_FAILED"
    SAVEPOINT_DISPOSED = "SAVEPOINT_DISPOSED"
    SAVEPOINTS_REMOVED = "SAVEPOINTS_REMOVED"
    SAVEPOINTS_KEPT = "SAVEPOINTS_KEPT"
    # a person is needed: also the reason of BLOCKED
    RESTORE_BLOCKED = "RESTORE_BLOCKED"
    RESTARTS_EXHAUSTED = "RESTARTS_EXHAUSTED"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    RECORD_TOO_OLD = "RECORD_TOO_OLD"
    # what people asked for
    REQUEST_ACCEPTED = "REQUEST_ACCEPTED"
    REQUEST_REFUSED = "REQUEST_REFUSED"
    REQUEST_REPEATED = "REQUEST_REPEATED"
    RESTORE_TOLD = "RESTORE_TOLD"
    FENCED = "FENCED"


MEANINGS: dict[Reason, str] = {
    Reason.CREATED: "a job was accepted, or waits for its first start",
    Reason.UPGRADING: "a generation is being ended, or the next one is starting",
    Reason.DEPLOYED: "every task runs; not stable yet",
    Reason.STABLE: "runs for `health.stableAfter`, with a checkpoint if there are to be any",
    Reason.RECONCILING: "its JobManager cannot be seen, which is not a death",
    Reason.SUSPENDED: "stopped with its state, as the spec says",
    Reason.FINISHED: "the job came to its own end; its resources are given back",
    Reason.ROLLING_BACK: "on the way back to the last stable spec",
    Reason.ROLLED_BACK: "the last stable spec runs again, until the desired one changes",
    Reason.FAILED: "the restart strategy has given up",
    Reason.BLOCKED: "a person has to say how it goes on; `status.blocked` has the reason",
    Reason.DELETING: "the desired state is gone; `onDelete` is carried out",
    Reason.DELETED: "every task is gone, or left running by `onDelete: keep`; where its state lies",
    Reason.GENERATION_STARTED: "a generation was opened, and from what",
    Reason.RUNNING: "every task of the generation runs",
    Reason.UPGRADE_BEGUN: "the generation is being ended because of a change, how, and which",
    Reason.UPGRADE_ENDED: "it has ended, and with what state",
    Reason.SUSPEND_BEGUN: "the generation is being ended because the job is to be suspended",
    Reason.SUSPEND_ENDED: "it has ended, and with what state",
    Reason.RESTART_BEGUN: "the generation is being ended to be started again, and why",
    Reason.RESTART_ENDED: "it has ended, and with what state",
    Reason.ROLLBACK_BEGUN: "the generation is being ended to go back to the last stable spec",
    Reason.ROLLBACK_ENDED: "it has ended, and with what state",
    Reason.DELETE_BEGUN: "the generation is being ended because the job is deleted",
    Reason.DELETE_ENDED: "it has ended, and with what state",
    Reason.ENDING_ABANDONED: "a stop failed and nobody asks for it any more: the job runs on",
    Reason.LAST_STATE_FALLBACK: "a job that does not run cannot write a savepoint; its newest checkpoint is used",
    Reason.PRESTART: "the processes of the next generation are started while the current one runs",
    Reason.PRESTART_SHORT: "no offer held some of them; the upgrade goes on without",
    Reason.PRESTART_DROPPED: "they are not needed any more",
    Reason.RESCALE_BEGUN: "the running job is brought to another parallelism",
    Reason.RESCALED: "it has that parallelism, without a restart",
    Reason.SUBMITTED: "the job was submitted to its session",
    Reason.SUBMIT_REFUSED: "the session refused it, and why",
    Reason.TASK_LOST: "a task is dead, and why; charged to the restart budget unless it says otherwise",
    Reason.TASK_NOT_STARTED: "a launch never happened or maintenance ended it; not charged",
    Reason.TASK_UNREACHABLE: "a task cannot be seen for too long; another one is started, it may still be alive",
    Reason.TASK_BACK: "a task that could not be seen is back; what became of its replacement",
    Reason.TASK_MOVING: "a task leaves a drained agent; its replacement comes first",
    Reason.TASK_MOVED: "it has left",
    Reason.LAUNCH_TIMEOUT: "a task did not run within `health.launchTimeout`",
    Reason.NOT_REGISTERED: "a TaskManager runs but did not register with its JobManager in time",
    Reason.DRAINED: "nothing is left on an agent (history of all jobs)",
    Reason.JOB_FAILED: "Flink gave the job up, and why",
    Reason.JOB_CANCELED: "somebody cancelled the job in Flink",
    Reason.UNHEALTHY: "too many restarts, or no checkpoint for too long",
    Reason.NOT_READY: "a new spec is not stable within `health.readinessTimeout`",
    Reason.STRATEGY_FAILED: "a restart strategy raised or answered nonsense; ten seconds are used instead",
    Reason.SAVEPOINT_BEGUN: "a savepoint was asked for",
    Reason.SAVEPOINT_COMPLETED: "it is complete, and where",
    Reason.SAVEPOINT_FAILED: "it failed, why, and whether it is tried again",
    Reason.SAVEPOINT_DISPOSED: "savepoints that aged out are removed",
    Reason.SAVEPOINTS_REMOVED: "`snapshots.disposeOnDelete` removes what the job has left",
    Reason.SAVEPOINTS_KEPT: "they could not be removed",
    Reason.RESTORE_BLOCKED: "the newest state is not where it should be; nothing is started",
    Reason.RESTARTS_EXHAUSTED: "the restart strategy gave up",
    Reason.ROLLBACK_FAILED: "the last stable spec does not become stable either",
    Reason.RECORD_TOO_OLD: "a task runs that the record does not know: an old backup was restored",
    Reason.REQUEST_ACCEPTED: "what a person asked for is carried out",
    Reason.REQUEST_REFUSED: "it is not, and why",
    Reason.REQUEST_REPEATED: "the same request, by its id, was answered before",
    Reason.RESTORE_TOLD: "a person said what to start from",
    Reason.FENCED: "a person declared a generation dead",
}
