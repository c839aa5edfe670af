"""JAR jobs through the whole operator, and arguments of jobs of both kinds."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kazoo.exceptions import NoAuthError, NoNodeError

from reconciler.app.demo.harness import ask
from reconciler.model.record import Lifecycle, SnapshotKind

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

HERE = Path(__file__).parent

AWKWARD = [
    "-p", "4", "", "--jars", "x.jar", "--", "-s", "--fromSavepoint", "/nowhere", "two  words", "-Dkey=value",
    "'quoted'", '"twice"', "a,b;c", "$HOME `id`", "ünï", "-", "--parallelism=9", "line\nbreak", "",
]  # fmt: skip
"""Each of these could be taken for an option of Flink's, split, unquoted or dropped."""

World = Any
Job = Any


def test_a_jar_job_is_upgraded_with_a_savepoint_to_a_distribution_that_the_fetcher_brings(made: World) -> None:
    job = made.jar_evens("jar-evens")
    job.put()
    job.runs(1)
    job.progresses()

    job.wanted["flinkVersion"] = "2.2.1"  # the packed one; see `distributions` in conftest.py
    job.put("job", parallelism=2)

    status = job.runs(2, parallelism=2)
    assert status.restored_from == status.last_snapshot.path
    assert status.last_snapshot.kind == SnapshotKind.SAVEPOINT.value
    assert [(path / "flink-2.2.1" / "lib").is_dir() for path in job.sandboxes(2)] == [True] * 3
    job.complete()
    job.delete()
    assert not job.tasks()


SECRET = "not-to-be-seen-anywhere-4f1c"
CANARY = "/tmp/weir-executed"
HOSTILE = [
    f"$(touch {CANARY})", f"`touch {CANARY}`", f"; touch {CANARY} #", f"'; touch {CANARY} '", f'"; touch {CANARY} "',
    f"a\n touch {CANARY}\n", f"&& touch {CANARY} ||", "${PATH}", "%s%n", "\\", "\t\r\x1b[31m\x7f", "\U0001f984\u202e",
]  # fmt: skip
"""Each of these would be executed, expanded or changed by a shell, a format or a terminal on its way."""


@pytest.mark.parametrize("kind", ["jar", "python"])
def test_every_argument_variable_and_secret_reaches_the_job_as_it_is(made: World, kind: str) -> None:
    program = (
        made.jar(HERE / "Arguments.java", made.installation.flink.home) if kind == "jar" else HERE / "arguments.py"
    )
    seen = made.directory / f"{kind}-arguments"
    job = made.job(f"arguments-{kind}", {"type": kind, "uri": program.as_uri(), "args": AWKWARD + HOSTILE})
    token = made.directory / "a token"
    token.write_text(f"{SECRET}\n", encoding="utf-8")
    variables = {f"HOSTILE_{number}": value for number, value in enumerate(HOSTILE)}
    job.wanted["flinkConfiguration"] |= {"my.token": "${secret:token}", "my.note": HOSTILE[0]}
    job.put(env={"SEEN": str(seen), **variables}, secrets={"token": str(token)})

    job.lifecycle(Lifecycle.FINISHED)

    assert [base64.b64decode(line).decode() for line in seen.read_text().splitlines()] == AWKWARD + HOSTILE
    environment = Path(f"{seen}-environment").read_bytes().split(b"\0")
    for name, value in variables.items():
        assert f"{name}={value}".encode() in environment
    assert not Path(CANARY).exists()
    # The tests have no credentials: desired state is theirs, what the operator remembers is not.
    with pytest.raises(NoAuthError):
        made.installation.store._client.set(f"{made.installation.root}/records/{job.name}", b"forged")
    # Secrets: the path in the environment, the content in the configuration of the process and nowhere else.
    assert Path(f"{seen}-token").read_text() == str(token)
    configurations = [path / "conf" / "config.yaml" for path in job.sandboxes(1)]
    assert {f'"my.token": "{SECRET}"' in path.read_text() for path in configurations} == {True}
    assert {path.stat().st_mode & 0o077 for path in configurations} == {0}
    told = dict(everything_told(made, job, seen))
    assert [where for where, text in told.items() if SECRET.encode() in text] == []
    assert [where for where, text in told.items() if str(token).encode() in text], (
        "it was looked for in the right places"
    )
    job.until("its resources are given back", lambda: not job.tasks())


def everything_told(made: World, job: Job, seen: Path) -> Iterator[tuple[str, bytes]]:
    """Where anything of a job is said: ZooKeeper, Mesos, processes, logs, commands and the API."""
    installation, stack = made.installation, made.installation.stack
    for root in (installation.root, "/flink", "/mesos"):
        yield from znodes(installation, root)
    leader = stack.leader()
    addresses = [f"http://{leader.address[0]}:{leader.address[1]}/master/state"]
    agents = ask(f"http://{leader.address[0]}:{leader.address[1]}/slaves")["slaves"]
    addresses += [f"http://{agent['pid'].partition('@')[2]}/slave(1)/state" for agent in agents]
    api = installation.leader().api
    addresses += [f"{api}/api/v1/jobs/{job.name}{part}" for part in ("", "/history", "/events")]
    addresses += [f"{api}/jobs/{job.name}", f"{api}/metrics"]
    for address in addresses:
        yield address, httpx.get(address, timeout=10).raise_for_status().content
    for part in ("environment", "command"):
        yield f"the job's {part}", Path(f"{seen}-{part}").read_bytes()
    for path in [*job.sandboxes(1)]:
        for name in ("stdout", "stderr"):
            yield str(path / name), (path / name).read_bytes()
    for path in (stack.state_dir / "logs").glob("*.log"):
        yield str(path), path.read_bytes()
    weir = Path(sys.executable).parent / "weir"
    for command in (["describe"], ["history"], ["events"], ["get", "-o", "json"]):
        arguments = [str(weir), *command, job.name, "--zk", stack.zk, "--root", installation.root]
        yield " ".join(arguments), subprocess.run(arguments, check=True, capture_output=True).stdout


def znodes(installation: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """What is there; a JobManager that ends takes its own nodes along meanwhile."""
    client = installation.store._client
    try:
        data, children = client.get(path)[0], client.get_children(path)
    except NoNodeError:
        return
    yield path, data
    for child in children:
        yield from znodes(installation, f"{path}/{child}")
