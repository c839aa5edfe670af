"""What is decided about all jobs at once: pauses of everything, held losses, requests that no job can answer. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler import drains
from reconciler.decide_requests import ANSWERS_KEPT
from reconciler.model.control import GLOBAL, Action, Asked, ControlRequest
from reconciler.model.decision import EmitEvent
from reconciler.model.operator import HeldJob, OperatorRecord
from reconciler.model.reasons import Reason
from reconciler.model.record import Answer, Pause

MARK_LETTERS = 8


@dataclass(frozen=True, slots=True)
class OperatorDecision:
    """The next record, what is told, and which requests are answered with it."""

    record: OperatorRecord
    events: tuple[EmitEvent, ...] = ()
    answered: tuple[Asked, ...] = ()


def mark_of(held: Iterable[HeldJob]) -> str:
    """Names exactly these jobs and the nodes that vanished: another loss has another mark (S7)."""
    named = ",".join(f"{job.name}@{job.czxid}" for job in sorted(held, key=lambda job: job.name) if not job.confirmed)
    return hashlib.sha256(named.encode()).hexdigest()[:MARK_LETTERS]


def paused_by_all(record: OperatorRecord) -> str | None:
    """Why nothing may be done for any job."""
    pause = record.paused
    if pause is None:
        return None
    by, reason = f" by {pause.by}" if pause.by else "", f": {pause.reason}" if pause.reason else ""
    return f"everything is paused{by}{reason}; jobs are observed and nothing is done. To go on: weir unpause --all"


def decide_operator(
    record: OperatorRecord,
    held: Mapping[str, int],
    asked: Sequence[tuple[Asked, str | None]],
    now: float,
    left: drains.Left = drains.unknown,
) -> OperatorDecision:
    """Take note of what is held, then answer.

    `held` is what is missing and no delete, by name with the vanished node's czxid. `asked` comes with why
    the job that it names cannot answer; None for requests about all jobs and confirmations. `left` says how
    many tasks, of how many jobs, an agent holds.
    """
    record = _note_held(record, held)
    record, events = drains.note_empty(record, left, now)
    for request, why_not in asked:
        before = next((answer for answer in record.answers if answer.id == request.id), None)
        if before is not None:
            events.append(EmitEvent(Reason.REQUEST_REPEATED, f"{_what(request)} was answered before: {before.answer}"))
            continue
        record, accepted, said = _answer(record, request, why_not, now, left)
        answer = Answer(request.id, _what(request), accepted, said[:1000], now, request.by)
        record = replace(record, answers=(*record.answers, answer)[-ANSWERS_KEPT:])
        code, who = (
            Reason.REQUEST_ACCEPTED if accepted else Reason.REQUEST_REFUSED,
            f" (asked by {request.by})" if request.by else "",
        )
        events.append(EmitEvent(code, f"{_what(request)}{who}: {said}"[:1000], not accepted))
    return OperatorDecision(record, tuple(events), tuple(request for request, _ in asked))


def _note_held(record: OperatorRecord, held: Mapping[str, int]) -> OperatorRecord:
    """Holds of jobs that are back, or gone for good, end; a confirmation ends with its hold."""
    before = {(job.name, job.czxid): job for job in record.held}
    now_held = tuple(before.get((name, czxid), HeldJob(name, czxid)) for name, czxid in sorted(held.items()))
    return record if now_held == record.held else replace(record, held=now_held)


def _what(asked: Asked) -> str:
    about = "" if asked.name == GLOBAL else f" for {asked.name}"
    return f"{asked.action}{about}"


def _answer(
    record: OperatorRecord, asked: Asked, why_not: str | None, now: float, left: drains.Left
) -> tuple[OperatorRecord, bool, str]:
    request = asked.request
    if request is None:
        return record, False, f"not understood: {asked.error}"
    if why_not is not None:
        return record, False, why_not
    match request.action:
        case Action.PAUSE if record.paused is not None:
            return record, False, "everything is paused already"
        case Action.PAUSE:
            record = replace(record, paused=Pause(now, request.by, request.args.reason))
            return record, True, "everything is paused: jobs are observed, and nothing is done"
        case Action.UNPAUSE if record.paused is None:
            return record, False, "nothing is paused as a whole; a single job goes on with: weir unpause JOB"
        case Action.UNPAUSE:
            return (
                replace(record, paused=None, unpaused_at=now),
                True,
                "goes on; jobs that are paused themselves stay so",
            )
        case Action.CONFIRM:
            return _confirm(record, asked.name, request)
        case Action.DRAIN:
            return drains.begin(record, request, now, left)
        case Action.UNDRAIN:
            return drains.end(record, request)
    return record, False, f'"{request.action}" is asked of one job'


def _confirm(record: OperatorRecord, name: str, request: ControlRequest) -> tuple[OperatorRecord, bool, str]:
    """Exactly what was held when the person looked is a delete from now on; anything else is not."""
    waiting = [job for job in record.held if not job.confirmed]
    mark = mark_of(waiting)
    if not waiting:
        return record, False, "nothing is held"
    if request.args.held is not None and request.args.held != mark:
        names = ", ".join(job.name for job in waiting[:20])
        return (
            record,
            False,
            f"what is held is not {request.args.held} but {mark}: {names}; look again before confirming",
        )
    chosen = {job.name for job in waiting if name in (GLOBAL, job.name)}
    if not chosen:
        return record, False, "nothing is held for this job"
    held = tuple(replace(job, confirmed=job.confirmed or job.name in chosen) for job in record.held)
    return replace(record, held=held), True, f"deleted for good: {', '.join(sorted(chosen))[:600]}"
