"""What makes a JobManager wait: the class and the program that travel with it, and the command line around them."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.flink import gate
from integration.flink.program import program_of
from integration.flink.render import START, FlinkRenderer
from reconciler.model import ids
from reconciler.model.record import Generation, Role, Snapshot, SnapshotKind
from reconciler.model.resources import TaskInfo
from reconciler.model.spec import JobSpec
from tests.unit.flink.test_render import RECORD, SETTINGS, dynamic, spec, task

SOURCE = Path(gate.__file__).with_name("Gate.java")


def rendered(given: JobSpec, role: Role = Role.JOB_MANAGER, *, adopted: bool = False) -> TaskInfo:
    """A task of a generation that was opened beforehand; `adopted`: it has become the current one."""
    generation = Generation(3, given, ids.flink_job_id(RECORD.uid, 3), "words-0123456789-3", 0.0, gated=True)
    if adopted:
        generation = replace(generation, restore=Snapshot(SnapshotKind.SAVEPOINT, "file:///srv/sp", 2))
        record = replace(RECORD, generation=generation)
    else:
        record = replace(RECORD, upcoming=generation)
    return FlinkRenderer(SETTINGS).render(record, generation, task(role))


def options(info: TaskInfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    at = info.argv.index("--")
    return info.argv[:at], info.argv[at + 1 :]


def test_a_program_in_a_jar_is_called_by_the_gate() -> None:
    info = rendered(spec({"type": "jar", "entryClass": "org.example.Words", "args": ["--in", "x"]}))
    own, arguments = options(info)
    assert own[own.index("--job-classname") + 1] == gate.CLASS
    assert arguments == ("org.example.Words", "--in", "x")
    assert own[own.index("-cp") + 1] == "/opt/flink/lib/*:gate"
    assert base64.b64decode(info.env["WEIR_GATE"])[:4] == b"\xca\xfe\xba\xbe"
    assert "--fromSavepoint" not in own


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({}, ("/srv/jobs/a job.py", "--in", "x y")),
        ({"entryClass": "words.main"}, ("-m", "words.main", "--in", "x y")),
        ({"type": "sql", "args": []}, ("weir_program.py", "/srv/jobs/a job.py")),
    ],
)
def test_a_python_program_is_run_by_one_that_waits(job: dict[str, Any], expected: tuple[str, ...]) -> None:
    info = rendered(spec(job))
    own, arguments = options(info)
    assert own[own.index("--job-classname") + 1].endswith("PythonDriver")
    assert arguments[arguments.index("-py") + 1] == "weir_gate.py"
    assert "-pym" not in arguments
    assert arguments[arguments.index("--") + 1 :] == expected
    assert "waitUntilOpen" in info.env["WEIR_GATE_PROGRAM"]


def test_once_the_generation_has_taken_over_its_tasks_are_started_like_any_other() -> None:
    info = rendered(spec({"type": "jar", "entryClass": "org.example.Words"}), adopted=True)
    own, _ = options(info)
    assert own[own.index("--job-classname") + 1] == "org.example.Words"
    assert own[own.index("--fromSavepoint") + 1] == "file:///srv/sp"
    assert "WEIR_GATE" not in info.env


def test_taskmanagers_need_no_gate() -> None:
    info = rendered(spec(), Role.TASK_MANAGER)
    assert "WEIR_GATE" not in info.env
    assert dynamic(info)["high-availability.cluster-id"] == "words-0123456789-3"


def test_a_jar_whose_entry_class_is_unknown_cannot_wait() -> None:
    with pytest.raises(ValueError, match=r"job\.entryClass"):
        program_of(spec({"type": "jar"}), SETTINGS.distributions["2.2"], gated=True)


def test_the_start_script_makes_files_of_what_travels_with_it(tmp_path: Path) -> None:
    info = rendered(spec())
    env = {**info.env, "PATH": "/usr/bin:/bin", "MESOS_SANDBOX": str(tmp_path)}
    subprocess.run(["/bin/sh", "-c", START, "weir", "/bin/true"], env=env, check=True)
    assert (tmp_path / "gate/dev/weir/Gate.class").read_bytes() == SOURCE.with_suffix(".class").read_bytes()
    assert (tmp_path / "weir_gate.py").read_text() == gate.PROGRAM


def test_the_key_is_configuration_of_flink() -> None:
    assert gate.key(None) == b""
    assert gate.key("s3://b/sp-1") == b"execution.state-recovery.path=s3://b/sp-1"
    assert gate.key("file:///sp", allow_non_restored_state=True).splitlines() == [
        b"execution.state-recovery.path=file:///sp",
        b"execution.state-recovery.ignore-unclaimed-state=true",
    ]
    with pytest.raises(ValueError, match="line breaks"):
        gate.key("file:///sp\nkey=value")
