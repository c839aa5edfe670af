"""`weir logs` on agents that answer as real ones do: pages of 64 KiB, completed executors, silence."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from integration.mesos.sandbox import SandboxFiles
from reconciler.app.task_logs import Lines, Wanted
from reconciler.model.record import Record, Role, SpecRef, Task, TaskPhase
from reconciler.model.status import LeaderInfo
from state.codec import encode_leader
from tests.unit.cli.conftest import World

UID = "0123456789"
PAGE = 64 << 10


def task_id(role: str, index: int = 0, attempt: int = 1, generation: int = 1, uid: str = UID) -> str:
    return f"even-ids.{uid}.{generation}.{role}.{index}.{attempt}"


def placed(role: Role, index: int = 0, attempt: int = 1, agent: str = "a1") -> Task:
    name = task_id(role.value, index, attempt)
    return Task(role, 1, index, attempt, TaskPhase.PLACED, task_id=name, agent_id=agent, hostname=f"host-{agent}")


JM, TM0, TM1 = placed(Role.JOB_MANAGER), placed(Role.TASK_MANAGER, 0, 2), placed(Role.TASK_MANAGER, 1, 3, "a2")


class Cluster:
    """A master and its agents over HTTP."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.files: dict[tuple[str, str, str], bytes] = {}
        """By agent, task and file."""
        self.remembered: dict[str, str] = {}
        """What the master knows of tasks that have ended."""
        self.found: str | None = "m:5050"
        self.asked: list[str] = []
        self.reads = 0
        world.sandbox_files = lambda: SandboxFiles(httpx.MockTransport(self.answer))
        world.find_master = self.find_master
        info = LeaderInfo(replica="replica-1", host="h", pid=1, master="zk://zk:2181/mesos")
        world.tree.leader_info = encode_leader(info)
        world.tree.framework_id = "f"
        world.put()
        self.runs(JM, TM0, TM1)

    def runs(self, *tasks: Task) -> None:
        self.world.remembers(Record("even-ids", UID, SpecRef(2, 0), tasks=tasks))

    def writes(self, task: str, text: str | bytes, agent: str = "a1", file: str = "stdout") -> None:
        data = text.encode() if isinstance(text, str) else text
        key = (agent, task, file)
        self.files[key] = self.files.get(key, b"") + data

    def find_master(self, master: str) -> str | None:
        self.asked.append(master)
        return self.found

    def answer(self, request: httpx.Request) -> httpx.Response:
        given = request.url.params
        agent = request.url.host
        if request.url.path == "/slaves":
            agents = [{"id": name, "pid": f"slave(1)@{name}:5051"} for name in ("a1", "a2")]
            return httpx.Response(200, json={"slaves": agents})
        if request.url.path == "/frameworks":
            tasks = [{"id": task, "slave_id": where} for task, where in self.remembered.items()]
            return httpx.Response(200, json={"frameworks": [{"id": "f", "completed_tasks": tasks}]})
        if request.url.path == "/state":
            tasks_here = {task for where, task, _ in self.files if where == agent}
            executors = [{"id": task, "directory": f"/work/{task}"} for task in sorted(tasks_here)]
            return httpx.Response(200, json={"frameworks": [{"completed_executors": executors}]})
        self.reads += 1
        _, _, task, file = given["path"].split("/")
        if (agent, task, file) not in self.files:
            return httpx.Response(404)
        data, offset = self.files[agent, task, file], int(given["offset"])
        page = data[offset : offset + min(int(given["length"]), PAGE)] if offset >= 0 else b""
        text = page.decode("latin-1").replace("\\", "\\\\").replace("\n", "\\n").replace("\x1b", "\\u001b")
        at = len(data) if offset < 0 else offset
        return httpx.Response(200, content=f'{{"data": "{text}", "offset": {at}}}'.encode("latin-1"))


@pytest.fixture
def cluster(world: World) -> Cluster:
    return Cluster(world)


def test_the_job_manager_is_meant_unless_another_task_is_named(cluster: Cluster) -> None:
    cluster.writes(task_id("jm"), "first\nüber 10\nlast")
    cluster.writes(task_id("jm"), "wrong", file="stderr")
    cluster.writes(task_id("tm", 1, 3), "of tm.1\n", "a2")

    result = cluster.world.weir("logs", "even-ids")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "first\nüber 10\nlast", "")
    assert cluster.asked == ["zk://zk:2181/mesos"]
    assert cluster.world.weir("logs", "even-ids", "--stderr").stdout == "wrong"
    assert cluster.world.weir("logs", "even-ids", "--task", "tm.1").stdout == "of tm.1\n"


def test_lines_of_several_tasks_begin_with_the_task(cluster: Cluster) -> None:
    cluster.writes(task_id("tm", 0, 2), "a\nb")
    cluster.writes(task_id("tm", 1, 3), "c\n", "a2")

    result = cluster.world.weir("logs", "even-ids", "--task", "tm")

    assert sorted(result.stdout.splitlines()) == ["tm.0 | a", "tm.0 | b", "tm.1 | c"]


def test_a_file_of_many_pages_is_whole(cluster: Cluster) -> None:
    text = "".join(f"line {n} é\n" for n in range(20_000))
    cluster.writes(task_id("jm"), text)

    assert cluster.world.weir("logs", "even-ids").stdout == text
    assert cluster.reads > 3


@pytest.mark.parametrize(
    ("text", "lines", "shown"),
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 5, "a\nb\n"),
        ("a\nb\n", 0, ""),
        ("", 3, ""),
        ("\n\n\n", 2, "\n\n"),
        ("x" * 70_000 + "\n" + "y" * 70_000 + "\n", 1, "y" * 70_000 + "\n"),
        ("x" * 70_000 + "\n" + "y" * 70_000 + "\n", 2, "x" * 70_000 + "\n" + "y" * 70_000 + "\n"),
    ],
)
def test_tail_prints_the_last_lines(cluster: Cluster, text: str, lines: int, shown: str) -> None:
    cluster.writes(task_id("jm"), text)

    assert cluster.world.weir("logs", "even-ids", "--tail", str(lines)).stdout == shown


def test_a_task_that_has_died_is_found_through_the_master(cluster: Cluster) -> None:
    cluster.runs()
    cluster.remembered = {
        task_id("jm", attempt=4): "a1",
        task_id("jm", attempt=9): "a2",
        task_id("jm", attempt=99, uid="aaaaaaaaaa"): "a1",
        "foreign": "a1",
    }
    cluster.writes(task_id("jm", attempt=9), "the end\n", "a2")

    assert cluster.world.weir("logs", "even-ids").stdout == "the end\n"


def test_a_task_that_the_master_forgot_is_found_on_the_agents(cluster: Cluster) -> None:
    cluster.runs()
    cluster.writes(task_id("jm", attempt=9, generation=1), "older\n")
    cluster.writes(task_id("jm", attempt=2, generation=2), "the end\n", "a2")

    assert cluster.world.weir("logs", "even-ids").stdout == "the end\n"


def test_an_older_attempt_is_named_by_its_id_also_of_an_earlier_life(cluster: Cluster) -> None:
    old = task_id("jm", attempt=1, uid="aaaaaaaaaa")
    cluster.remembered = {old: "a2"}
    cluster.writes(old, "long ago\n", "a2")

    assert cluster.world.weir("logs", "even-ids", "--task", old).stdout == "long ago\n"


def test_follow_goes_on_with_the_task_that_takes_the_place(cluster: Cluster) -> None:
    cluster.writes(task_id("jm"), "one\ntw")

    def happens(sleeps: int) -> None:
        if sleeps == 1:
            cluster.writes(task_id("jm"), "o\n")
        if sleeps == 2:
            cluster.runs(replace(JM, attempt=5, task_id=task_id("jm", attempt=5)))
        if sleeps == 6:
            cluster.writes(task_id("jm", attempt=5), "three\n")
        if sleeps > 12:
            raise KeyboardInterrupt

    cluster.world.on_sleep = happens

    result = cluster.world.weir("logs", "even-ids", "--follow")

    assert result.stdout == "one\ntwo\nthree\n"
    assert f"note: {task_id('jm', attempt=5)} from here on" in result.stderr
    assert result.stderr.count("it is tried again") == 1, "no sandbox yet: told once"
    assert result.exit_code == 130


def test_a_task_whose_agent_is_gone_does_not_keep_the_others_from_being_followed(cluster: Cluster) -> None:
    cluster.writes(task_id("tm", 0, 2), "a\n")
    cluster.writes(task_id("tm", 1, 3), "b\n", "a2")

    def happens(sleeps: int) -> None:
        if sleeps == 1:
            del cluster.files["a1", task_id("tm", 0, 2), "stdout"]
        cluster.writes(task_id("tm", 1, 3), f"b{sleeps}\n", "a2")
        if sleeps > 6:
            raise KeyboardInterrupt

    cluster.world.on_sleep = happens

    result = cluster.world.weir("logs", "even-ids", "--task", "tm", "-f")

    assert "tm.0 | a\n" in result.stdout
    assert "tm.1 | b6\n" in result.stdout
    assert result.stderr.count("it is tried again") == 1


def test_what_a_task_wrote_last_is_not_lost_when_another_takes_its_place(cluster: Cluster) -> None:
    cluster.writes(task_id("jm"), "one\n")
    after = task_id("jm", attempt=5)

    def happens(sleeps: int) -> None:
        if sleeps == 4:
            cluster.runs(replace(JM, attempt=5, task_id=after))
            cluster.writes(after, "three\n")
        if sleeps > 6:
            raise KeyboardInterrupt

    original = cluster.answer

    def late(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/state" and ("a1", after, "stdout") in cluster.files:
            cluster.files["a1", task_id("jm"), "stdout"] = b"one\ntwo\n"
        return original(request)

    cluster.world.sandbox_files = lambda: SandboxFiles(httpx.MockTransport(late))
    cluster.world.on_sleep = happens

    assert cluster.world.weir("logs", "even-ids", "-f").stdout == "one\ntwo\nthree\n"


def test_a_file_that_became_shorter_begins_anew(cluster: Cluster) -> None:
    cluster.writes(task_id("jm"), "a long line\n")

    def happens(sleeps: int) -> None:
        cluster.files["a1", task_id("jm"), "stdout"] = b"new\n"
        if sleeps > 2:
            raise KeyboardInterrupt

    cluster.world.on_sleep = happens

    assert cluster.world.weir("logs", "even-ids", "-f").stdout == "a long line\nnew\n"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--task", "taskmanager"), 2, "write jm, tm, tm.1 or a task id"),
        (("--task", "tm.x"), 2, "write jm, tm, tm.1 or a task id"),
        (("--task", "tm.7"), 3, 'there is no sandbox of tm.7 of "even-ids"; its tasks: jm.0, tm.0, tm.1; see'),
        (("--task", f"other.{UID}.1.jm.0.1"), 2, f"see: weir logs other --task other.{UID}.1.jm.0.1"),
        (("--tail", "-1"), 2, "-1 is not in the range"),
        ((), 1, f"no sandbox of {task_id('jm')} any more; the agent keeps sandboxes for a while only"),
    ],
)
def test_what_cannot_be_shown_is_one_line(cluster: Cluster, args: tuple[str, ...], code: int, said: str) -> None:
    result = cluster.world.weir("logs", "even-ids", *args)

    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_job_of_a_session_has_its_logs_there(cluster: Cluster) -> None:
    job = {"type": "jar", "uri": "file:///srv/a.jar"}
    cluster.world.put("small", {"kind": "SessionJob", "session": "shared", "job": job})

    result = cluster.world.weir("logs", "small")

    assert (result.exit_code, "see: weir logs shared" in result.stderr) == (3, True)


def test_a_master_can_be_named_and_one_that_is_not_there_is_told(cluster: Cluster) -> None:
    cluster.writes(task_id("jm"), "x\n")

    assert cluster.world.weir("logs", "even-ids", "--master", "h:5050").stdout == "x\n"
    cluster.found = None
    result = cluster.world.weir("logs", "even-ids", "--master", "zk://u:secret@zk/mesos")

    assert cluster.asked[0] == "h:5050"
    assert "no Mesos master was found at zk/mesos; name another with --master" in result.stderr
    assert "secret" not in result.stderr


def test_a_leader_of_an_older_version_does_not_say_where_mesos_is(cluster: Cluster) -> None:
    cluster.world.tree.leader_info = encode_leader(LeaderInfo(replica="replica-1", host="h", pid=1))

    result = cluster.world.weir("logs", "even-ids")

    assert result.exit_code == 2
    assert "name it with --master" in result.stderr


def test_before_any_leader_has_said_where_mesos_is_the_configuration_says_it(cluster: Cluster) -> None:
    cluster.writes(JM.task_id or "", "hello\n")
    cluster.world.tree.leader_info = b""
    path = cluster.world.file("[mesos]\nmaster = 'm1:5050'", "weir.toml")

    assert cluster.world.weir("logs", "even-ids").exit_code == 2
    assert cluster.world.weir("logs", "even-ids", "--config", path).stdout == "hello\n"
    assert cluster.asked == ["m1:5050"]


def test_logs_can_be_read_while_nobody_leads(cluster: Cluster) -> None:
    cluster.writes(task_id("jm"), "x\n")
    cluster.world.nobody_leads()

    assert cluster.world.weir("logs", "even-ids").stdout == "x\n"


def test_nothing_is_remembered_of_a_job_that_is_new(cluster: Cluster) -> None:
    cluster.world.put("new")

    result = cluster.world.weir("logs", "new")

    assert (result.exit_code, 'nothing is remembered of "new" yet' in result.stderr) == (3, True)


def test_what_a_job_writes_does_not_drive_a_terminal() -> None:
    assert Lines("", plain=True).take("a\x1b[2J\tb\n") == "a�[2J\tb\n"
    assert Lines("", plain=False).take("a\x1b[2J") == "a\x1b[2J"


def test_standby_job_managers_are_all_meant_and_older_generations_are_not() -> None:
    known = {task_id("jm", 0, 3, 2): "a1", task_id("jm", 1, 4, 2): "a2", task_id("jm", 0, 1, 1): "a1"}

    assert Wanted.parse("jm").newest(known, UID) == [(task_id("jm", 0, 3, 2), "a1"), (task_id("jm", 1, 4, 2), "a2")]
    assert Wanted.parse("jm.1").newest(known, UID) == [(task_id("jm", 1, 4, 2), "a2")]
