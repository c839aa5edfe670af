"""What is read from JSON holds equal specs once, and is equal to what was written."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.record import EndReason, Generation, PastGeneration, Record, SpecRef
from reconciler.model.sharing import lean
from reconciler.model.spec import Health, Job, JobSpec, TaskManager
from reconciler.model.status import Observed, Status, TaskStatus
from state.codec import decode_record, encode_record

SPEC = JobSpec(flink_version="2.2", job=Job(type="python", uri="file:///a.py"), env={"A": "1"})
OTHER = JobSpec(flink_version="2.2", job=Job(type="python", uri="file:///b.py"), task_manager=TaskManager(slots=4))


def generation(number: int, spec: JobSpec) -> Generation:
    return Generation(number, spec, f"{number:032x}", f"orders-{number}", 1.0)


RECORD = Record(
    "orders",
    "0123456789",
    SpecRef(7, 0),
    spec=SPEC,
    stable_spec=SPEC,
    generation=generation(2, SPEC),
    upcoming=generation(3, OTHER),
    rolled_back=OTHER,
    rollback_to=SPEC,
    history=(PastGeneration(1, OTHER, 0.0, 1.0, EndReason.UPGRADE.value),),
)


def read() -> Record:
    return decode_record(encode_record(RECORD))


def test_equal_specs_of_a_record_are_one_object() -> None:
    record = read()

    assert record.generation is not None
    assert record.upcoming is not None
    same = (record.spec, record.stable_spec, record.generation.spec, record.rollback_to)
    others = (record.upcoming.spec, record.rolled_back, record.history[0].spec)

    assert len({id(spec) for spec in same}) == 1
    assert len({id(spec) for spec in others}) == 1


def test_each_place_has_the_spec_that_was_written_there() -> None:
    assert read() == RECORD
    assert encode_record(read()) == encode_record(RECORD)


def test_parts_that_nobody_changed_are_the_same_in_all_records() -> None:
    first, second = read().spec, decode_record(encode_record(replace(RECORD, name="payments"))).spec

    assert first is not None
    assert second is not None
    assert first.health is second.health
    assert first.restart is second.restart


def test_a_part_that_was_changed_stays_so() -> None:
    patient = SPEC.model_copy(update={"health": Health(stable_after="90s")})

    record = decode_record(encode_record(replace(RECORD, spec=patient)))

    assert record.spec == patient
    assert record.stable_spec == SPEC


def test_a_lean_model_is_equal_and_is_written_as_the_same_text() -> None:
    task = TaskStatus(id="t", role="jm", state="TASK_RUNNING")
    status = Status(lifecycle="STABLE", why="", observed=Observed(czxid=1, version=0), task_list=(task,))

    found = lean(status)

    assert found == status
    assert found.model_dump_json(by_alias=True) == status.model_dump_json(by_alias=True)
    assert found.model_copy(update={"time": "now"}) == status.model_copy(update={"time": "now"})
    assert found.model_fields_set == set()
