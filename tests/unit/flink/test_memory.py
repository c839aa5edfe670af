"""The memory breakdown equals Flink's own (fixtures/memory.json: printed by BashJavaUtils of Flink 2.2.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.flink.memory import (
    JobManagerMemory,
    TaskManagerMemory,
    check_memory,
    job_manager_memory,
    parse_size,
    task_manager_memory,
)
from reconciler.model.spec import JobSpec

CASES = json.loads((Path(__file__).parent / "fixtures" / "memory.json").read_text())


def _compute(case: dict[str, Any]) -> TaskManagerMemory | JobManagerMemory:
    conf = dict(case["conf"])
    if case["role"] == "tm":
        return task_manager_memory(parse_size("size", conf.pop("taskmanager.memory.process.size")), conf)
    return job_manager_memory(parse_size("size", conf.pop("jobmanager.memory.process.size")), conf)


def _name(case: dict[str, Any]) -> str:
    return case["role"] + " " + " ".join(f"{key.split('memory.')[1]}={value}" for key, value in case["conf"].items())


@pytest.mark.parametrize("case", [case for case in CASES if "jvm" in case], ids=_name)
def test_parts_are_those_that_flink_computes(case: dict[str, Any]) -> None:
    memory = _compute(case)

    assert list(memory.jvm_options()) == case["jvm"]
    for key, value in memory.configuration().items():
        assert case["dyn"][key] == value, key


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=_name)
def test_what_flink_refuses_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        _compute(case)


def test_parts_add_up_to_the_whole() -> None:
    for case in CASES:
        if "jvm" in case:
            process = next(value for key, value in case["conf"].items() if key.endswith("process.size"))
            assert _compute(case).total == parse_size("size", process)


def _spec(**extra: object) -> JobSpec:
    return JobSpec.model_validate({"flinkVersion": "2.2", "job": {"type": "jar", "uri": "file:///j.jar"}, **extra})


def test_the_default_sizes_of_a_spec_are_large_enough() -> None:
    job_manager, task_manager = check_memory(_spec())

    assert job_manager.heap == 192 << 20
    assert task_manager.task_heap > 0


def test_too_small_a_task_manager_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"taskManager\.memory 700m is too small: .* need \d+m"):
        check_memory(_spec(taskManager={"memory": "700m"}))


def test_too_small_a_job_manager_is_told_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"set jobManager\.memory to at least 704m"):
        check_memory(_spec(jobManager={"memory": "640m"}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("taskmanager.memory.managed.size", "lots", "is not a memory size"),
        ("taskmanager.memory.managed.fraction", "half", "is not a number"),
        ("taskmanager.memory.managed.fraction", "1.0", "is not a fraction"),
    ],
)
def test_a_value_that_does_not_parse_names_its_key(key: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"{key}.*{message}"):
        check_memory(_spec(flinkConfiguration={key: value}))
