"""Specs are accepted whole or refused with everything that is wrong, in words that help (fault 50)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import flink_keys, spec_fields
from reconciler.model.spec import JobSpec
from reconciler.model.spec_kinds import MISPLACED
from reconciler.model.spec_parse import MAX_ERRORS, MAX_SPEC_BYTES, SpecInvalid, SpecLimits, parse_document, parse_spec
from reconciler.model.status import SpecError, Status

MINIMAL: dict[str, Any] = {"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///srv/jobs/even_ids.py"}}


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        result[key] = (
            merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
        )
    return result


def parse(change: dict[str, Any] | None = None, name: str = "orders", **limits: Any) -> JobSpec:
    return parse_spec(name, json.dumps(merged(MINIMAL, change or {})).encode(), SpecLimits(**limits))


def errors(change: dict[str, Any] | bytes, name: str = "orders", **limits: Any) -> dict[str, SpecError]:
    data = change if isinstance(change, bytes) else json.dumps(merged(MINIMAL, change)).encode()
    with pytest.raises(SpecInvalid) as refused:
        parse_spec(name, data, SpecLimits(**limits))
    return {error.path: error for error in refused.value.errors}


def only(change: dict[str, Any] | bytes, **limits: Any) -> SpecError:
    found = errors(change, **limits)
    assert len(found) == 1, found
    return next(iter(found.values()))


def test_a_minimal_spec_gets_every_default() -> None:
    spec = parse()

    assert (spec.kind, spec.job.parallelism, spec.task_managers(), spec.on_delete) == ("Application", 1, 1, "savepoint")
    assert (spec.health.launch_timeout, spec.task_manager.memory) == (120.0, 1024)


def test_the_spec_of_the_documentation_is_valid() -> None:
    spec = parse(
        {
            "apiVersion": "weir/v1",
            "kind": "Application",
            "user": None,
            "env": {},
            "secrets": {},
            "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
            "job": {"args": ["--input", "/srv/in"], "parallelism": 2, "upgradeMode": "last-state"},
            "jobManager": {"cpus": 0.5, "memory": "768m", "replicas": 1},
            "taskManager": {"cpus": 1, "memory": "1g", "slots": 2, "replicas": None},
            "placement": {"strategy": "spread", "constraints": [], "role": "*"},
            "restart": {"initialBackoff": "1s", "maxBackoff": "1m", "multiplier": 2, "jitter": 0},
            "snapshots": {"savepointDir": "file:///srv/sp", "interval": None, "maxAge": "7d"},
            "health": {"checkpointStall": None, "rollback": False},
            "onDelete": "keep",
        },
        flink_versions=frozenset({"2.2"}),
        restart_strategies=frozenset({"exponential-delay"}),
        placement_strategies=frozenset({"spread"}),
    )

    assert spec.job.upgrade_mode == "last-state"


def test_a_byte_order_mark_is_tolerated() -> None:
    assert parse_spec("orders", b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode()).flink_version == "2.2"


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b"", "is empty", "weir apply -f"),
        (b" \n\t", "is empty", "weir apply -f"),
        (b"\x1c", "is empty", "weir apply -f"),
        (b"\xef\xbb\xbf", "is empty", "weir apply -f"),
        (b'{"a": "\xff"}', "not hold UTF-8 text (byte 7 is 0xff)", "LC_ALL=C.UTF-8"),
        (b"{" + b" " * MAX_SPEC_BYTES, f"has at most {MAX_SPEC_BYTES}", "into a file"),
        (b"flinkVersion: '2.2'\njob:\n  type: python\n", "holds YAML", "znodes hold JSON only"),
        (b"---\njob: {}\n", "holds YAML", "weir apply -f"),
        (b'{"apiVersion":', 'holds only `{"apiVersion":`', "set /weir/jobs/orders '{"),
        (b'{"a', 'holds only `{"a`', "interactive zkCli splits a value at spaces"),
        (b'{"a": 1, "b": "c d', "cut off after", "its end is missing"),
        (b"'{\"a\": 1}'", "wrapped in quotes", "start with {"),
        (b'"{\\"a\\": 1}"', "JSON string that contains JSON", "encoded twice"),
        (b"[]", "holds an array", "begins with"),
        (b"17", "holds a number", "begins with"),
        (b"null", "holds null", "begins with"),
        (b"{'a': 1}", "line 1, column 2", "double quotes"),
        (b'{"a": 1,}', "line 1, column 9", "no comma after the last entry"),
        (b'{"a": 1, "a": 2}', "`a` stands twice", "remove one"),
        (b'{"a": NaN}', "NaN is not JSON", "write a number"),
        (b'{"a": -Infinity}', "-Infinity is not JSON", "write a number"),
        (b"[" * 100_000, "nested too deeply", None),
        (b'{"a": "\\ud800"}', 'holds "\\ud800"', "remove it"),
        (b"1" * 5000, "thousands of digits", None),
    ],
)
def test_f50_a_znode_that_is_no_json_object_says_what_it_is(data: bytes, message: str, hint: str | None) -> None:
    error = only(data)

    assert error.path == ""
    assert message in error.message
    assert (hint is None) == (error.hint is None)
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("change", "path", "message", "hint"),
    [
        ({"paralelism": 2}, "paralelism", "at the top of a spec", "did you mean job.parallelism?"),
        ({"parallelism": 2}, "parallelism", "at the top of a spec", "it belongs elsewhere: job.parallelism"),
        ({"job": {"paralelism": 2}}, "job.paralelism", "in job", "did you mean parallelism?"),
        ({"job": {"entry_class": "A"}}, "job.entry_class", "in job", "did you mean entryClass?"),
        ({"memory": "1g"}, "memory", "at the top", "jobManager.memory or taskManager.memory"),
        ({"job": {"jarURI": "x"}}, "job.jarURI", "in job", "job.uri"),
        ({"metadata": {}}, "metadata", "at the top", "name of its znode"),
        ({"taskManager": {"resource": {}}}, "taskManager.resource", "in taskManager", "cpus and memory directly"),
        ({"taskmanager.memory.size": 1}, "taskmanager.memory.size", "at the top", "flinkConfiguration"),
        ({"job": {"qqqq": 1}}, "job.qqqq", "in job", "fields here: type, uri"),
        ({"job": {"type": "pyton"}}, "job.type", "not one of: python, jar, sql", 'did you mean "python"?'),
        ({"job": {"state": 3}}, "job.state", "3 is not one of: running, suspended", None),
        ({"job": {"upgradeMode": "last_state"}}, "job.upgradeMode", "not one of", 'did you mean "last-state"?'),
        ({"apiVersion": "flink.apache.org/v1beta1"}, "apiVersion", "not one of: weir/v1", None),
        ({"flinkVersion": 1.2}, "flinkVersion", "not the number 1.2", "1.20 is the same as 1.2"),
        ({"flinkVersion": "v1_20"}, "flinkVersion", "not a Flink version", 'did you mean "1.20"?'),
        ({"job": {"uri": ""}}, "job.uri", "is empty", "name the script"),
        ({"job": {"parallelism": "2"}}, "job.parallelism", 'not the string "2"', "leave out the quotes: 2"),
        ({"job": {"parallelism": 2.0}}, "job.parallelism", "whole number", "write 2"),
        ({"job": {"parallelism": 0}}, "job.parallelism", "the least is 1", None),
        ({"job": {"parallelism": 40000}}, "job.parallelism", "the most is 32768", None),
        ({"job": {"args": "--x"}}, "job.args", "has to be a list", 'write ["--x"]'),
        ({"job": {"args": ["a", 3]}}, "job.args.1", "not the number 3", 'put it into quotes, such as "3"'),
        ({"job": {"allowNonRestoredState": "true"}}, "job.allowNonRestoredState", "true or false", "the quotes: true"),
        ({"job": 3}, "job", "has to be an object, not the number 3", None),
        ({"jobManager": None}, "jobManager", "not null", "leave the field out"),
        ({"env": {"A": 1}}, "env.A", "not the number 1", 'such as "1"'),
        ({"env": {"A-B": "1"}}, "env.A-B", "environment variable", "such as A_B"),
        ({"env": {"A": "\0"}}, "env.A", "NUL", None),
        ({"user": "a b"}, "user", "name of a user", "leave it out"),
        ({"health": {"stableAfter": 30}}, "health.stableAfter", "with a unit", 'did you mean "30s"?'),
        ({"health": {"stableAfter": "30 parsecs"}}, "health.stableAfter", "not a duration", None),
        ({"taskManager": {"memory": 1024}}, "taskManager.memory", "with a unit", 'did you mean "1024m"?'),
        ({"restart": {"initialBackoff": "2m"}}, "restart.initialBackoff", "2m is longer than restart.maxBackoff", None),
        ({"restart": {"jitter": 1.5}}, "restart.jitter", "the most is 1", None),
        ({"session": "s"}, "session", "belongs to kind SessionJob", "leave it out"),
    ],
)
def test_f50_a_wrong_field_says_where_what_and_how_to_repair(
    change: dict[str, Any], path: str, message: str, hint: str | None
) -> None:
    error = only(change)

    assert error.path == path
    assert message in error.message
    assert (hint is None) == (error.hint is None), error.hint
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("uri", "message", "hint"),
    [
        ("jobs/a.py", "is relative", "absolute path"),
        ("file:a.py", "is relative", "file:///a.py"),
        ("file://srv/a.py", 'names the host "srv"', "file:///srv/a.py"),
        ("gs://bucket/a.py", 'scheme "gs" is not allowed', "allowed: file, hdfs, http, https, s3"),
        ("https:///a.py", "names no host", None),
        ("/srv/my job.py", "a space", "%20"),
        ("http://[::1/a.py", "is not a URI", None),
        ("/srv/a.jar", "not a python job", '"type": "jar"'),
    ],
)
def test_a_job_uri_that_agents_cannot_reach_is_refused(uri: str, message: str, hint: str | None) -> None:
    error = only({"job": {"uri": uri}})

    assert error.path == "job.uri"
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


def test_python_files_belong_to_python_jobs() -> None:
    change = {"job": {"type": "jar", "uri": "/srv/a.jar", "pyFiles": ["/srv/b.py"]}}

    assert "belongs to python jobs" in only(change).message


@pytest.mark.parametrize("args", [["--ver", "x"], ["-n"], ["-s", "-pyexec"], ["--tag", "--ver"], ["-"], [""], ["--"]])
def test_arguments_may_look_like_options_of_flink(args: list[str]) -> None:
    assert parse({"job": {"args": args}}).job.args == args


@pytest.mark.parametrize(
    ("job", "path", "message"),
    [
        ({"args": ["a"]}, "job.args", "takes no arguments"),
        ({"entryClass": "a.B"}, "job.entryClass", "has no class"),
        ({"pyFiles": ["/srv/b.py"]}, "job.pyFiles", "belongs to python jobs"),
        ({"uri": "/srv/a.py"}, "job.uri", "not a sql job"),
    ],
)
def test_a_script_of_sql_is_all_there_is_to_its_job(job: dict[str, Any], path: str, message: str) -> None:
    error = only({"job": {"type": "sql", "uri": "/srv/a.sql", **job}})

    assert (error.path, message in error.message) == (path, True)


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ({"token": "relative"}, "relative"),
        ({"token": "/srv/two\nlines"}, "control character"),
        ({"a b": "/srv/token"}, "cannot be the name of a secret"),
    ],
)
def test_a_secret_is_a_file_on_the_agent(secrets: dict[str, str], message: str) -> None:
    error = only({"secrets": secrets})

    assert (error.path, message in error.message) == (f"secrets.{next(iter(secrets))}", True)


@pytest.mark.parametrize("cron", ["0 0 * * * *", "@hourly", "61 * * * *", ""])
def test_a_cron_expression_has_five_fields(cron: str) -> None:
    error = only({"snapshots": {"cron": cron}})

    assert (error.path, "write five fields" in (error.hint or "")) == ("snapshots.cron", True)


@given(st.text(max_size=30), st.sampled_from(["env", "secrets", "flinkConfiguration", ""]))
def test_an_error_repeats_no_control_character_of_a_key(key: str, section: str) -> None:
    change = {section: {key: "\x1b[31m\n"}} if section else {key: "\x1b[31m\n"}
    found: tuple[SpecError, ...] = ()
    try:
        parse(change)
    except SpecInvalid as refused:
        found = refused.errors
    assert all(error.sentence().isprintable() for error in found), found


def test_a_secret_where_flink_would_print_it_is_refused() -> None:
    key = "high-availability.zookeeper.client.authorization"
    error = only({"secrets": {"zk": "/srv/zk"}, "flinkConfiguration": {key: "${secret:zk}"}})

    assert error.path == f"flinkConfiguration.{key}"
    assert "Flink prints its value into its log" in error.message
    assert "password, secret" in (error.hint or "")


@pytest.mark.parametrize(("value", "scheme"), [(True, "https"), (" TRUE ", "https"), (False, "http")])
def test_tls_of_flinks_rest_says_how_weir_asks(value: object, scheme: str) -> None:
    spec = parse({"flinkConfiguration": {"security.ssl.rest.enabled": value}})

    assert flink_keys.rest_scheme(spec.flink_configuration) == scheme


def test_tls_of_flinks_rest_that_neither_is_nor_is_not_is_refused() -> None:
    error = only({"flinkConfiguration": {"security.ssl.rest.enabled": "yes"}})

    assert error.path == "flinkConfiguration.security.ssl.rest.enabled"
    assert "neither true nor false" in error.message


def test_a_value_that_names_no_secret_is_refused() -> None:
    document = {"secrets": {"token": "/srv/token"}, "flinkConfiguration": {"s3.secret-key": "${secret:tokem}"}}

    assert 'did you mean "token"?' in (only(document).hint or "")


def test_numbers_and_booleans_in_the_flink_configuration_become_strings() -> None:
    spec = parse({"flinkConfiguration": {"a": 1, "b": True, "c": 0.5, "d": "x", "e": 2.0}})

    assert spec.flink_configuration == {"a": "1", "b": "true", "c": "0.5", "d": "x", "e": "2"}


@pytest.mark.parametrize(
    ("value", "hint"), [({"b": 1}, '"a.b": "…"'), ([1], "one string"), (None, "leave the key out"), ({}, "one string")]
)
def test_nested_flink_configuration_is_refused(value: Any, hint: str) -> None:
    error = only({"flinkConfiguration": {"a": value}})

    assert error.path == "flinkConfiguration.a"
    assert hint in (error.hint or "")


@pytest.mark.parametrize("key", [*flink_keys.OPERATOR_KEYS, *(f"{p}x" for p in flink_keys.OPERATOR_PREFIXES)])
def test_what_the_operator_decides_cannot_be_configured(key: str) -> None:
    error = only({"flinkConfiguration": {key: "1"}})

    assert error.path == f"flinkConfiguration.{key}"
    assert flink_keys.refusal(key) in error.message


@pytest.mark.parametrize(
    "key", ["taskmanager.memory.managed.fraction", "restart-strategy.type", "state.backend.type", "table.exec.x", "a"]
)
def test_everything_else_may_be_configured(key: str) -> None:
    assert parse({"flinkConfiguration": {key: "1"}}).flink_configuration == {key: "1"}


@pytest.mark.parametrize("key", ["", "a b", "a=b", "a\nb", "-Da"])
def test_what_is_no_configuration_key_is_refused(key: str) -> None:
    assert "not a configuration key" in only({"flinkConfiguration": {key: "1"}}).message


SESSION = {"kind": "Session", "flinkVersion": "2.2"}
SESSION_JOB = {"kind": "SessionJob", "session": "shared", "job": {"type": "jar", "uri": "file:///srv/job.jar"}}


def refused(document: dict[str, Any]) -> dict[str, SpecError]:
    return errors(json.dumps(document).encode())


def test_the_least_of_a_session_and_of_a_session_job_is_accepted() -> None:
    session = parse_spec("shared", json.dumps(SESSION).encode())
    job = parse_spec("orders", json.dumps(SESSION_JOB).encode())

    assert (session.task_managers(), session.job_managers()) == (1, 1)
    assert (job.task_managers(), job.job_managers()) == (0, 0)
    assert JobSpec.model_validate_json(session.model_dump_json(by_alias=True)) == session


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ({}, {"flinkVersion", "job"}),
        ({"flinkVersion": "", "job": SESSION_JOB["job"]}, {"flinkVersion"}),
        ({"kind": "Session"}, {"flinkVersion"}),
        ({"kind": "SessionJob"}, {"session", "job"}),
    ],
)
def test_f50_each_kind_says_what_it_needs(document: dict[str, Any], missing: set[str]) -> None:
    found = refused(document)

    assert set(found) == missing
    assert all(error.message == "is required" and error.hint for error in found.values())


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, table in MISPLACED.items() for path in table])
def test_f50_what_a_kind_does_not_have_is_refused_with_where_it_belongs(kind: str, path: str) -> None:
    document: Any = json.loads(json.dumps({"Session": SESSION, "SessionJob": SESSION_JOB}.get(kind, MINIMAL)))
    *above, last = path.split(".")
    node = document
    for part in above:
        node = node.setdefault(part, {})
    node[last] = {"session": "shared", "flinkVersion": "2.2", "onDelete": "keep"}.get(path, {})

    found = refused({**document, "kind": kind})

    assert set(found) == {path}
    assert found[path].hint


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"job": {"type": "python", "uri": "file:///srv/job.py"}}, "job.type"),
        ({"job": {"type": "jar", "uri": "hdfs://name/job.jar"}}, "job.uri"),
        ({"flinkConfiguration": {"taskmanager.memory.network.fraction": "0.2"}}, "flinkConfiguration"),
        ({"session": "Not A Name"}, "session"),
        ({"onDelete": "keep"}, "onDelete"),
    ],
)
def test_f50_what_a_session_cannot_run_is_refused(changes: dict[str, Any], path: str) -> None:
    (found,) = refused({**SESSION_JOB, **changes}).values()

    assert found.path.startswith(path)
    assert found.hint


@pytest.mark.parametrize("name", ["Orders", "a_b", "-a", "a-", "", "a.b", "a\n", "ä", "a" * 64])
def test_f50_a_bad_job_name_is_refused_with_a_better_one(name: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        parse_spec(name, json.dumps(MINIMAL).encode())

    (error,) = refused.value.errors
    assert "lower-case letters" in error.message
    assert "store it under" in (error.hint or "")
    assert "/weir" not in (error.hint or ""), "the root of the installation may be another"


@pytest.mark.parametrize("name", ["a", "0", "a-b-c", "a" * 63])
def test_a_good_job_name_is_accepted(name: str) -> None:
    assert parse(name=name).job.parallelism == 1


def test_f50_impossible_resources_are_refused() -> None:
    found = errors(
        {"jobManager": {"memory": "256m", "cpus": 0.01}, "taskManager": {"slots": 16}},
        max_task_cpus=0.5,
        max_task_mem=512,
    )

    assert "too little for a JobManager" in found["jobManager.memory"].message
    assert "too little for a JVM" in found["jobManager.cpus"].message
    assert "more than any agent offers" in found["taskManager.cpus"].message
    assert set(found) == {"jobManager.memory", "jobManager.cpus", "taskManager.memory", "taskManager.cpus"}


def test_more_slots_need_more_memory() -> None:
    error = only({"taskManager": {"slots": 16}})

    assert "1g is too little for a TaskManager with 16 slots" in error.message
    assert "1408m" in (error.hint or "")


def test_too_few_slots_for_the_parallelism_are_refused() -> None:
    error = only({"job": {"parallelism": 5}, "taskManager": {"replicas": 2}})

    assert error.path == "taskManager.replicas"
    assert "have 4 slots, job.parallelism needs 5" in error.message
    assert "write 3" in (error.hint or "")


def test_what_the_installation_has_not_is_refused_with_what_it_has() -> None:
    found = errors(
        {"restart": {"strategy": "fixed"}},
        flink_versions=frozenset({"1.20", "2.3"}),
        restart_strategies=frozenset({"fixed-delay", "none"}),
        placement_strategies=frozenset({"pack"}),
    )

    assert "it has: 1.20, 2.3" in found["flinkVersion"].message
    assert found["restart.strategy"].hint == 'did you mean "fixed-delay"?'
    assert "not one of: pack" in found["placement.strategy"].message


def test_a_patch_version_is_covered_by_its_series() -> None:
    assert parse({"flinkVersion": "2.2.1"}, flink_versions=frozenset({"2.2"})).flink_version == "2.2.1"


def test_f50_everything_that_is_wrong_is_reported_at_once() -> None:
    found = errors(
        {
            "jobb": 1,
            "flinkVersion": "2",
            "job": {"parallelism": "x", "uri": "relative.py"},
            "taskManager": {"slots": 0, "replicas": 1},
            "flinkConfiguration": {"rest.port": 1, "a": {}},
            "env": {"1": "x"},
        }
    )

    assert set(found) == {
        "jobb", "flinkVersion", "job.parallelism", "job.uri", "taskManager.slots",
        "flinkConfiguration.rest.port", "flinkConfiguration.a", "env.1",
    }  # fmt: skip


def test_f50_one_mistake_is_reported_once() -> None:
    assert set(errors({"job": {"parallelism": 0}, "taskManager": {"replicas": 1, "slots": 1}})) == {"job.parallelism"}


def test_f16_the_number_of_errors_is_bounded() -> None:
    assert len(errors({f"unknown{n}": 1 for n in range(100)})) == MAX_ERRORS


def test_a_document_is_parsed_like_bytes_and_left_alone() -> None:
    document = merged(MINIMAL, {"flinkConfiguration": {"a": 1}})

    assert parse_document("orders", document) == parse({"flinkConfiguration": {"a": 1}})
    assert document["flinkConfiguration"] == {"a": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
field_names = st.sampled_from(
    [name for model in ("",) for name in spec_fields.fields(JobSpec)]
    + ["type", "uri", "args", "cpus", "memory", "slots", "replicas", "interval", "rollback", "pyFiles"]
)
spec_like = st.dictionaries(
    field_names, json_values | st.dictionaries(field_names, json_values, max_size=5), max_size=8
)


def accepted_or_refused(data: bytes) -> None:
    try:
        spec = parse_spec("orders", data)
    except SpecInvalid as error:
        refused = error
    else:
        assert JobSpec.model_validate(spec.model_dump(by_alias=True)) == spec
        return
    assert 1 <= len(refused.errors) <= MAX_ERRORS
    Status(lifecycle="CREATED", why="", error=str(refused)).model_dump_json()


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_f50_arbitrary_bytes_are_refused_and_never_a_traceback(data: bytes) -> None:
    accepted_or_refused(data)


@settings(max_examples=400, deadline=None)
@given(spec_like)
def test_f50_arbitrary_documents_are_accepted_or_refused(document: dict[str, Any]) -> None:
    accepted_or_refused(json.dumps(document).encode())


@settings(max_examples=200, deadline=None)
@given(spec_like)
def test_f50_arbitrary_changes_of_a_good_spec_are_accepted_or_refused(document: dict[str, Any]) -> None:
    accepted_or_refused(json.dumps(merged(MINIMAL, document)).encode())


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400))
def test_f50_a_spec_that_was_cut_off_anywhere_is_refused(length: int) -> None:
    data = json.dumps(merged(MINIMAL, {"env": {"A": "ü"}}), ensure_ascii=False).encode()
    if length < len(data):
        with pytest.raises(SpecInvalid):
            parse_spec("orders", data[:length])


def test_f16_more_taskmanagers_than_a_record_can_hold_are_refused_with_what_to_do() -> None:
    found = only({"job": {"parallelism": 32768}, "taskManager": {"slots": 2}})

    assert found.path == "job.parallelism"
    assert "16384 TaskManagers" in found.message
    assert "slots" in (found.hint or "")


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"taskManager": {"disk": "10m"}}, "taskManager.disk", "too little for logs"),
        ({"jobManager": {"disk": 1024}}, "jobManager.disk", "a size is a string with a unit"),
        ({"jobManager": {"gpus": 1}}, "jobManager.gpus", 'there is no field "gpus" in jobManager'),
        ({"taskManager": {"gpus": 0.5}}, "taskManager.gpus", "whole number"),
        ({"taskManager": {"gpus": -1}}, "taskManager.gpus", "0"),
    ],
)
def test_disk_and_gpus_that_make_no_sense_are_refused(change: dict[str, Any], path: str, said: str) -> None:
    error = only(change)

    assert (error.path, said in error.message) == (path, True), error


def test_gpus_are_refused_where_mesos_does_not_offer_them() -> None:
    document = {**MINIMAL, "taskManager": {"gpus": 1}}

    with pytest.raises(SpecInvalid) as refused:
        parse_spec("orders", json.dumps(document).encode(), SpecLimits(gpus=False))
    (error,) = refused.value.errors
    assert "mesos.gpus" in (error.hint or "")
    assert parse_spec("orders", json.dumps(document).encode(), SpecLimits(gpus=True)).task_manager.gpus == 1
