"""Rendered tasks: what Flink is told, and what must never be in a command line."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.flink import config, sql_job
from integration.flink.config import FlinkDistribution, FlinkSettings
from integration.flink.render import START, FlinkRenderer
from reconciler.model import ids
from reconciler.model.record import Generation, Record, Role, Snapshot, SnapshotKind, SpecRef, Task, TaskPhase
from reconciler.model.resources import FetchUri, TaskInfo
from reconciler.model.spec import JobSpec

SETTINGS = FlinkSettings(
    {
        "1.20": FlinkDistribution("1.20.5", "/opt/flink-1.20", "/opt/py-1.20/bin/python"),
        "2.2": FlinkDistribution("2.2.1", "/opt/flink", "/opt/py/bin/python", java="/opt/jdk/bin/java"),
        "2.3": FlinkDistribution("2.3.0", "/opt/flink-2.3"),
    },
    "file:///srv/flink/",
    "zk1:2181,zk2:2181",
)
RECORD = Record("words", "0123456789", SpecRef(1, 0))


def spec(job: dict[str, Any] | None = None, **extra: Any) -> JobSpec:
    described = {"type": "python", "uri": "file:///srv/jobs/a%20job.py", "args": ["--in", "x y"], **(job or {})}
    return JobSpec.model_validate({"flinkVersion": "2.2", "job": described, **extra})


def task(role: Role = Role.JOB_MANAGER, address: str = "10.0.0.7", ports: tuple[int, ...] | None = None) -> Task:
    placed = Task(
        role, 3, 0, 9, TaskPhase.PLACED, agent_id="agent-1", hostname="host", address=address,
        ports=ports or ((31001, 31002, 31003, 31009) if role is Role.JOB_MANAGER else (31004, 31005, 31010)),
    )  # fmt: skip
    return replace(placed, task_id=RECORD.task_name(placed))


def render(
    given: JobSpec | None = None,
    placed: Task | None = None,
    restore: str | None = None,
    settings: FlinkSettings = SETTINGS,
) -> TaskInfo:
    snapshot = Snapshot(SnapshotKind.SAVEPOINT, restore, 2) if restore else None
    generation = Generation(3, given or spec(), ids.flink_job_id(RECORD.uid, 3), "words-0123456789-3", 0.0, snapshot)
    return FlinkRenderer(settings).render(RECORD, generation, placed or task())


def dynamic(info: TaskInfo) -> dict[str, str]:
    own = info.argv[: info.argv.index("--")] if "--" in info.argv else info.argv
    return dict(own[i + 1].split("=", 1) for i, part in enumerate(own[:-1]) if part == "-D")


# Identity and placement


def test_a_task_carries_its_identity_in_id_and_labels() -> None:
    info = render()

    assert info.task_id == "words.0123456789.3.jm.0.9"
    assert info.agent_id == "agent-1"
    assert info.labels == {
        "weir.job": "words", "weir.uid": "0123456789", "weir.generation": "3", "weir.role": "jm", "weir.index": "0",
        "weir.attempt": "9", "weir.flink-version": "2.2", "weir.cluster-id": "words-0123456789-3",
        "weir.flink-job-id": ids.flink_job_id("0123456789", 3),
    }  # fmt: skip


def test_everything_that_holds_state_is_unique_to_the_generation() -> None:
    info = render()
    options = dynamic(info)

    assert options["high-availability.cluster-id"] == "words-0123456789-3"
    assert options["execution.checkpointing.dir"] == "file:///srv/flink/checkpoints/0123456789/3"
    assert options["execution.checkpointing.savepoint-dir"] == "file:///srv/flink/savepoints/0123456789/3"
    assert info.argv[info.argv.index("--job-id") + 1] == ids.flink_job_id("0123456789", 3)


def test_offered_ports_are_pinned_in_their_order() -> None:
    manager, worker = dynamic(render()), dynamic(render(placed=task(Role.TASK_MANAGER)))

    assert (manager["rest.port"], manager["rest.bind-port"]) == ("31001", "31001")
    assert manager["high-availability.jobmanager.port"] == "31002"
    assert manager["blob.server.port"] == "31003"
    assert (worker["taskmanager.rpc.port"], worker["taskmanager.data.port"]) == ("31004", "31005")
    assert worker["taskmanager.resource-id"] == "words.0123456789.3.tm.0.9"
    assert manager["metrics.reporter.weir.port"] == "31009"
    assert worker["metrics.reporter.weir.port"] == "31010"


def test_flinks_metrics_are_served_unless_the_job_or_the_operator_says_otherwise() -> None:
    def reporter(info: TaskInfo) -> str | None:
        return dynamic(info).get("metrics.reporter.weir.factory.class")

    assert reporter(render()) == "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
    assert reporter(render(spec(flinkConfiguration={"metrics.reporters": "mine, weir"}))) is not None
    assert reporter(render(spec(flinkConfiguration={"metrics.reporters": "mine"}))) is None
    assert reporter(render(settings=replace(SETTINGS, metrics=False))) is None
    assert reporter(render(settings=replace(SETTINGS, configuration={"metrics.reporters": "none"}))) is None


def test_the_port_of_the_metrics_is_the_operators_and_their_filter_the_users() -> None:
    assert "metrics.reporter.weir.port" in config.refused_keys({"metrics.reporter.weir.port": "9999"})
    assert not config.refused_keys({"metrics.reporter.weir.filter.excludes": "*:jvm*"})


@pytest.mark.parametrize(("address", "bound"), [("127.0.0.12", "127.0.0.12"), ("host.example", "0.0.0.0")])
def test_processes_bind_to_their_own_ip_but_never_to_what_a_name_resolves_to(address: str, bound: str) -> None:
    manager, worker = (
        dynamic(render(placed=task(address=address))),
        dynamic(render(placed=task(Role.TASK_MANAGER, address))),
    )

    assert manager["rest.address"] == manager["jobmanager.rpc.address"] == worker["taskmanager.host"] == address
    assert manager["rest.bind-address"] == manager["jobmanager.bind-host"] == worker["taskmanager.bind-host"] == bound


def test_on_1_20_the_blob_server_listens_on_localhost_too() -> None:
    assert dynamic(render(spec(flinkVersion="1.20")))["jobmanager.bind-host"] == "0.0.0.0"


def test_a_task_that_is_not_placed_or_has_too_few_ports_is_not_rendered() -> None:
    with pytest.raises(ValueError, match="not placed"):
        render(placed=replace(task(), address=None))
    with pytest.raises(ValueError, match="needs 4 ports"):
        render(placed=task(ports=(1, 2)))


# What keeps state safe


def test_f61_results_of_jobs_outlive_their_job_manager_on_every_version() -> None:
    for version in ("1.20", "2.2"):
        options = dynamic(render(spec(flinkVersion=version)))
        assert options["job-result-store.delete-on-commit"] == "false"
        assert options["execution.shutdown-on-application-finish"] == "false"
        assert options["execution.submit-failed-job-on-application-error"] == "true"
    jar = spec({"type": "jar", "uri": "file:///j.jar", "args": []}, flinkVersion="2.3")
    assert dynamic(render(jar))["application-result-store.delete-on-commit"] == "false"


def test_the_restore_point_is_explicit_and_not_claimed() -> None:
    info = render(restore="file:/srv/sp/savepoint-1")

    assert info.argv[info.argv.index("--fromSavepoint") + 1] == "file:/srv/sp/savepoint-1"
    assert "--allowNonRestoredState" not in info.argv
    assert dynamic(info)["execution.state-recovery.claim-mode"] == "NO_CLAIM"
    assert "--fromSavepoint" not in render().argv


def test_state_may_be_dropped_only_when_the_spec_says_so() -> None:
    info = render(spec({"allowNonRestoredState": True}), restore="file:/srv/sp/savepoint-1")

    assert "--allowNonRestoredState" in info.argv


def test_what_the_operator_decides_stands_above_the_users_configuration() -> None:
    info = render(spec(flinkConfiguration={"heartbeat.timeout": "9 s", "a.list": 'x: "y"'}))

    assert '"heartbeat.timeout": "9 s"\n' in info.env["WEIR_CONFIG"]
    assert '"a.list": "x: \\"y\\""\n' in info.env["WEIR_CONFIG"]
    assert '"table.exec.uid.generation": "ALWAYS"\n' in info.env["WEIR_CONFIG"]
    assert not any(part.startswith("heartbeat") for part in info.argv)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("high-availability.cluster-id", "every generation"),
        ("execution.state-recovery.path", "restore point"),
        ("job-result-store.storage-path", "outlive"),
        ("rest.port", "Mesos places"),
        ("taskmanager.memory.process.size", "taskManager.memory"),
    ],
)
def test_a_key_that_the_operator_decides_is_refused_with_the_reason(key: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"flinkConfiguration {key} cannot be set: .*{reason}"):
        FlinkRenderer(SETTINGS).check(spec(flinkConfiguration={key: "x"}))


# Programs


def test_a_python_job_runs_with_the_distributions_python() -> None:
    info = render()
    program = info.argv[info.argv.index("--") + 1 :]

    assert info.argv[info.argv.index("--job-classname") + 1] == "org.apache.flink.client.python.PythonDriver"
    assert program == ("-pyclientexec", "/opt/py/bin/python", "-py", "/srv/jobs/a job.py", "--", "--in", "x y")
    assert '"python.executable": "/opt/py/bin/python"' in info.env["WEIR_CONFIG"]
    assert info.env["PATH"].startswith("/opt/py/bin:")


def test_arguments_that_look_like_options_of_flink_stay_the_programs_own() -> None:
    info = render(spec({"args": ["--job-id", "x", "-D", "a=b", "--"]}))

    assert info.argv[-6:] == ("--", "--job-id", "x", "-D", "a=b", "--")
    assert "a" not in dynamic(info)


def test_remote_files_are_fetched_into_the_sandbox() -> None:
    info = render(
        spec({"uri": "https://files.example/jobs/main.py?v=1", "pyFiles": ["s3://b/lib.zip", "/srv/util.py"]})
    )
    program = info.argv[info.argv.index("--") + 1 :]

    assert info.uris == (
        FetchUri("https://files.example/jobs/main.py?v=1", output_file="main.py"),
        FetchUri("s3://b/lib.zip", output_file="lib.zip"),
    )
    assert program[2:6] == ("-pyfs", "lib.zip,/srv/util.py", "-py", "main.py")


def test_a_python_module_is_found_in_the_jobs_file() -> None:
    info = render(spec({"entryClass": "my.main", "uri": "file:///srv/pkg.zip"}))
    program = info.argv[info.argv.index("--") + 1 :]

    assert program[2:6] == ("-pyfs", "/srv/pkg.zip", "-pym", "my.main")


def test_a_jar_is_shipped_by_flink_itself() -> None:
    job = {"type": "jar", "uri": "file:///srv/a.jar", "entryClass": "x.Main", "args": ["--ver", "1"]}
    info = render(spec(job))

    assert info.argv[-7:] == ("--job-classname", "x.Main", "--jars", "local:///srv/a.jar", "--", "--ver", "1")
    assert info.uris == ()


def test_a_remote_jar_is_fetched_into_the_sandbox() -> None:
    info = render(spec({"type": "jar", "uri": "https://files.example/a.jar", "args": []}))

    assert info.argv[-3:] == ("--jars", "a.jar", "--")
    assert info.uris == (FetchUri("https://files.example/a.jar", output_file="a.jar"),)


def test_a_script_of_sql_is_run_by_a_program_of_ours_that_only_the_job_manager_gets() -> None:
    job = {"type": "sql", "uri": "https://files.example/a.sql", "args": []}
    info, worker = render(spec(job)), render(spec(job), task(Role.TASK_MANAGER))
    program = info.argv[info.argv.index("--") + 1 :]

    assert program == ("-pyclientexec", "/opt/py/bin/python", "-py", "weir_program.py", "--", "a.sql")
    assert info.uris == (FetchUri("https://files.example/a.sql", output_file="a.sql"),)
    assert info.env["WEIR_PROGRAM"] == Path(sql_job.__file__).read_text(encoding="utf-8")
    assert "WEIR_PROGRAM" not in worker.env
    assert '"table.exec.uid.generation": "ALWAYS"' in info.env["WEIR_CONFIG"]


def test_a_distribution_in_a_tarball_is_fetched_by_every_task_and_kept_by_the_agent() -> None:
    packed = FlinkDistribution("2.2.1", "flink-2.2.1", tarball="https://files.example/flink-2.2.1.tgz")
    job = spec({"type": "jar", "uri": "https://files.example/a.jar", "args": []})
    settings = replace(SETTINGS, distributions={"2.2": packed})
    archive = FetchUri("https://files.example/flink-2.2.1.tgz", extract=True, cache=True)
    manager, worker = render(job, settings=settings), render(job, task(Role.TASK_MANAGER), settings=settings)

    assert manager.uris == (archive, FetchUri("https://files.example/a.jar", output_file="a.jar"))
    assert worker.uris == (archive,)
    assert manager.argv[manager.argv.index("-cp") + 1] == "flink-2.2.1/lib/*"
    assert manager.env["FLINK_PLUGINS_DIR"] == "flink-2.2.1/plugins"


def test_a_distribution_in_an_image_runs_in_a_container_and_binds_to_all_of_its_interfaces() -> None:
    boxed = FlinkDistribution("2.2.1", "/opt/flink", "/opt/py/bin/python", image="registry.example/flink:2.2.1")
    settings = replace(SETTINGS, distributions={"2.2": boxed})
    manager, worker = render(settings=settings), render(placed=task(Role.TASK_MANAGER), settings=settings)

    assert manager.image == worker.image == "registry.example/flink:2.2.1"
    assert manager.uris == ()
    assert (dynamic(manager)["jobmanager.bind-host"], dynamic(manager)["rest.bind-address"]) == ("0.0.0.0", "0.0.0.0")
    assert dynamic(manager)["rest.address"] == "10.0.0.7"
    assert dynamic(worker)["taskmanager.bind-host"] == "0.0.0.0"


def test_the_operators_defaults_stand_between_the_suggested_ones_and_the_users() -> None:
    settings = replace(SETTINGS, configuration={"heartbeat.timeout": "7000", "a": "operator", "b": "operator"})
    written = render(spec(flinkConfiguration={"a": "user"}), settings=settings).env["WEIR_CONFIG"]

    assert '"heartbeat.timeout": "7000"' in written
    assert '"a": "user"' in written
    assert '"b": "operator"' in written


def with_defaults(every: dict[str, str], of_22: dict[str, str]) -> FlinkSettings:
    distributions = {
        series: replace(each, configuration=of_22 if series == "2.2" else {})
        for series, each in SETTINGS.distributions.items()
    }
    return replace(SETTINGS, configuration=every, distributions=distributions)


def test_defaults_of_a_version_stand_between_those_of_all_jobs_and_the_jobs_own() -> None:
    settings = with_defaults({"a": "all", "b": "all", "c": "all"}, {"b": "2.2", "c": "2.2"})
    mine = {"flinkConfiguration": {"c": "mine"}}

    current = render(spec(**mine), settings=settings).env["WEIR_CONFIG"]
    older = render(spec(flinkVersion="1.20", **mine), settings=settings).env["WEIR_CONFIG"]

    assert [line for line in current.splitlines() if line[1] in "abc" and line[2] == '"'] == [
        '"a": "all"', '"b": "2.2"', '"c": "mine"',
    ]  # fmt: skip
    assert '"b": "all"' in older


def test_defaults_count_where_memory_is_divided_up_and_the_jvm_is_started_too() -> None:
    settings = with_defaults({"taskmanager.memory.managed.size": "64m"}, {"env.java.opts.all": "-Dof=2.2"})

    worker = render(placed=task(Role.TASK_MANAGER), settings=settings)

    assert dynamic(worker)["taskmanager.memory.managed.size"] == str(64 << 20) + "b"
    assert "-Dof=2.2" in worker.argv


def test_f48_a_process_that_is_replaced_has_the_defaults_that_its_generation_began_with() -> None:
    begun, now = with_defaults({"a": "then"}, {"b": "then"}), with_defaults({"a": "now", "x.password": "now"}, {})
    kept = begun.remembered_defaults("2.2")
    generation = Generation(3, spec(), ids.flink_job_id(RECORD.uid, 3), "words-0123456789-3", 0.0, defaults=kept)

    written = FlinkRenderer(now).render(RECORD, generation, task()).env["WEIR_CONFIG"]

    assert '"a": "then"' in written
    assert '"b": "then"' in written
    assert '"x.password": "now"' in written, "what may be a secret is in no record"
    assert with_defaults({"x.password": "now"}, {}).remembered_defaults("2.2") == {}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("rest.port", "follows from where Mesos places"),
        ("jobmanager.memory.process.size", "it is jobManager.memory of the spec"),
    ],
)
def test_a_default_of_a_version_that_the_operator_decides_is_refused_with_its_path(key: str, message: str) -> None:
    with pytest.raises(
        ValueError, match=rf"distributions\.2\.2\.configuration\.{key} cannot be set: .*{message}.*leave it out"
    ):
        with_defaults({}, {key: "1"})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("high-availability.cluster-id", "x", "derives it"), ("s3.secret-key", "${secret:s3}", "are those of a job")],
)
def test_the_operators_defaults_are_held_to_the_same_rules(key: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, configuration={key: value})


REST_TLS = {
    "security.ssl.rest.enabled": "true",
    "security.ssl.rest.keystore": "/etc/flink/rest.p12",
    "security.ssl.rest.keystore-password": "x",
}


def test_tls_of_the_rest_interface_without_what_it_needs_is_refused_before_a_job_is_stopped_for_it() -> None:
    whole = {**REST_TLS, "security.ssl.key-password": "x"}
    shared = replace(SETTINGS, configuration={"security.ssl.key-password": "x"})

    with pytest.raises(ValueError, match=r"needs security\.ssl\.rest\.key-password too"):
        FlinkRenderer(SETTINGS).check(spec(flinkConfiguration=REST_TLS))
    FlinkRenderer(SETTINGS).check(spec(flinkConfiguration=whole))
    FlinkRenderer(shared).check(spec(flinkConfiguration=REST_TLS))


def test_with_tls_at_its_rest_interface_a_job_has_ciphers_that_clients_of_today_know() -> None:
    chosen = {**REST_TLS, "security.ssl.algorithms": "TLS_AES_256_GCM_SHA384"}

    secure, own, plain = (render(spec(flinkConfiguration=given)).env["WEIR_CONFIG"] for given in (REST_TLS, chosen, {}))

    assert "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" in secure
    assert "ECDHE" not in own
    assert "security.ssl" not in plain


def test_the_switch_of_tls_belongs_to_a_job_because_it_says_how_what_runs_is_asked() -> None:
    with pytest.raises(ValueError, match="set it in the flinkConfiguration of jobs"):
        replace(SETTINGS, configuration={"security.ssl.rest.enabled": "true"})


@pytest.mark.parametrize(
    ("home", "tarball", "message"),
    [("/opt/flink", "https://x/flink.tgz", "inside the tarball"), ("flink", None, "is relative")],
)
def test_home_is_absolute_exactly_if_there_is_no_tarball(home: str, tarball: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlinkDistribution("2.2.1", home, tarball=tarball)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (spec({"type": "sql", "uri": "file:///q.sql"}, flinkVersion="2.3"), "job.type sql needs one"),
        (spec({"uri": "mailto:x"}), "cannot be reached by agents"),
        (spec({"uri": "relative.py"}), "cannot be reached by agents"),
        (spec(flinkVersion="2.3"), "has no Python"),
        (spec(flinkVersion="1.19"), "no distribution of Flink 1.19"),
        (spec(flinkVersion="2.2.0"), "no distribution of Flink 2.2.0"),
        (spec(taskManager={"memory": "400m"}), "taskManager.memory 400m is too small"),
        (spec(flinkConfiguration={"s3.secret-key": "${secret:key}"}), 'no "key" in secrets'),
        (spec(flinkConfiguration={"env.java.opts.all": "-Da='x"}), "cannot be split"),
        (
            spec(snapshots={"savepointDir": "s3://bucket/sp"}),
            r"snapshots.savepointDir: s3://bucket/sp: .* add a section \[storage.s3\]",
        ),
        (
            spec({"initialSavepointPath": "hdfs:///sp/1"}),
            "job.initialSavepointPath: hdfs:///sp/1: this kind of storage",
        ),
    ],
)
def test_what_cannot_be_rendered_is_refused_before_it_is_accepted(given: JobSpec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlinkRenderer(SETTINGS).check(given)


def test_a_full_version_that_is_there_is_accepted() -> None:
    FlinkRenderer(SETTINGS).check(spec(flinkVersion="2.2.1"))


# The process


def test_the_script_is_constant_and_no_text_of_a_user_is_in_it() -> None:
    hostile = spec({"args": ["$(touch /tmp/x)", "`id`"]}, env={"A": "$(id)"}, flinkConfiguration={"a": "'; id"})

    assert render(hostile).argv[:5] == render().argv[:5] == ("/bin/sh", "-c", START, "weir", "/opt/jdk/bin/java")


def test_disk_and_gpus_are_those_of_the_spec_and_a_job_manager_takes_no_gpus() -> None:
    given = spec(jobManager={"disk": "1g"}, taskManager={"disk": "5g", "gpus": 2})
    manager, worker = render(given), render(given, task(Role.TASK_MANAGER))

    assert (manager.disk_mb, manager.gpus) == (1024.0, 0.0)
    assert (worker.disk_mb, worker.gpus) == (5120.0, 2.0)
    assert (render().disk_mb, render().gpus) == (0.0, 0.0)


def test_memory_and_processors_are_those_of_the_spec() -> None:
    info = render(spec(taskManager={"memory": "2g", "cpus": 1.5, "slots": 4}), task(Role.TASK_MANAGER))

    assert (info.cpus, info.mem_mb) == (1.5, 2048.0)
    assert "-Xmx697932173" in info.argv
    assert "-XX:ActiveProcessorCount=2" in info.argv
    assert dynamic(info)["taskmanager.numberOfTaskSlots"] == "4"
    assert dynamic(info)["taskmanager.cpu.cores"] == "1.5"


def test_a_users_collector_replaces_ours() -> None:
    assert "-XX:+UseSerialGC" in render().argv
    info = render(spec(flinkConfiguration={"env.java.opts.jobmanager": "-XX:+UseZGC -Dx='a b'"}))

    assert "-XX:+UseSerialGC" not in info.argv
    assert {"-XX:+UseZGC", "-Dx=a b"} < set(info.argv)
    assert (
        "-XX:+UseZGC"
        not in render(
            spec(flinkConfiguration={"env.java.opts.jobmanager": "-XX:+UseZGC"}), task(Role.TASK_MANAGER)
        ).argv
    )


def test_only_a_small_job_manager_goes_without_the_optimising_compiler() -> None:
    assert "-XX:TieredStopAtLevel=1" in render().argv
    assert "-XX:TieredStopAtLevel=1" not in render(spec(jobManager={"cpus": 2})).argv
    assert "-XX:TieredStopAtLevel=1" not in render(placed=task(Role.TASK_MANAGER)).argv


def test_secrets_are_neither_in_arguments_nor_in_the_environment() -> None:
    given = spec(secrets={"s3-key": "/etc/secrets/s3"}, flinkConfiguration={"s3.secret-key": "${secret:s3-key}"})
    info = render(given)

    assert info.env["S3_KEY_FILE"] == "/etc/secrets/s3"
    assert info.env["WEIR_SECRETS"] == "s3.secret-key /etc/secrets/s3\n"
    assert "s3.secret-key" not in info.env["WEIR_CONFIG"]


def run_script(
    tmp_path: Path, env: dict[str, str], *arguments: str, script: str = START
) -> subprocess.CompletedProcess[str]:
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir(exist_ok=True)
    base = {"PATH": "/usr/bin:/bin", "MESOS_SANDBOX": str(sandbox), "WEIR_LOG4J": "log", "WEIR_CONFIG": '"a": "b"\n'}
    return subprocess.run(
        ["/bin/sh", "-c", script, "weir", "/bin/echo", *arguments],
        env={**base, **env}, capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


def test_the_script_writes_the_configuration_and_becomes_the_process(tmp_path: Path) -> None:
    ran = run_script(tmp_path, {}, "x y", "$HOME")
    sandbox = tmp_path / "sandbox"

    assert ran.stdout == f"-Dlog.file={sandbox}/stdout -Djava.io.tmpdir={sandbox}/tmp x y $HOME\n"
    assert (sandbox / "conf/config.yaml").read_text() == (
        f'"a": "b"\n"io.tmp.dirs": "{sandbox}/tmp"\n"user.artifacts.base-dir": "{sandbox}/artifacts"\n'
    )
    assert (sandbox / "conf/config.yaml").stat().st_mode & 0o077 == 0


def test_the_script_writes_the_program_and_finds_a_distribution_in_its_sandbox(tmp_path: Path) -> None:
    script = START.replace('exec "$java"', 'env; exec "$java"')
    home = {name: f"flink{below}" for name, below in (("FLINK_HOME", ""), ("FLINK_LIB_DIR", "/lib"))}
    home |= {"FLINK_OPT_DIR": "flink/opt", "FLINK_PLUGINS_DIR": "flink/plugins"}

    ran = run_script(tmp_path, {"WEIR_PROGRAM": "print('x')\n", **home}, script=script)
    seen = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)

    assert (tmp_path / "sandbox/weir_program.py").read_text() == "print('x')\n"
    assert "WEIR_PROGRAM" not in seen
    for name, value in home.items():
        assert seen[name] == f"{tmp_path}/sandbox/{value}"


def test_the_script_puts_secrets_into_the_configuration_file(tmp_path: Path) -> None:
    secret = tmp_path / "a secret"
    secret.write_text('p"w\\d\n')

    ran = run_script(tmp_path, {"WEIR_SECRETS": f"s3.key {secret}\n"})

    assert ran.returncode == 0
    assert (tmp_path / "sandbox/conf/config.yaml").read_text().endswith('"s3.key": "p\\"w\\\\d"\n')


def test_the_script_refuses_to_start_without_a_secret(tmp_path: Path) -> None:
    ran = run_script(tmp_path, {"WEIR_SECRETS": "s3.key /nowhere\n"})

    assert ran.returncode == 78
    assert "the file /nowhere of the secret for s3.key cannot be read" in ran.stderr


def test_flink_is_who_the_jaas_file_says_and_its_nodes_are_its_own() -> None:
    settings = replace(SETTINGS, zookeeper_jaas_file="/etc/flink/jaas.conf")
    info = render(settings=settings)

    assert "-Djava.security.auth.login.config=/etc/flink/jaas.conf" in info.argv
    assert '"high-availability.zookeeper.client.acl": "creator"' in info.env["WEIR_CONFIG"]
    assert "client.acl" not in render().env["WEIR_CONFIG"]
    with pytest.raises(ValueError, match="not an absolute path"):
        replace(SETTINGS, zookeeper_jaas_file="jaas.conf")
