"""What a script is taken apart into, and what is refused before anything of it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.flink.sql_job import OPERATORS, plan, split
from reconciler.model.flink_keys import OPERATOR_KEYS, refusal

EXAMPLE = Path(__file__).parents[3] / "examples" / "sql" / "even_ids.sql"


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" ; ;\n", []),
        ("A; B", ["A", "B"]),
        ("A 'x;y' `p;q` \"z", ["A 'x;y' `p;q` \"z"]),
        ("A 'it''s; fine'; B", ["A 'it''s; fine'", "B"]),
        ("-- a; comment\nA -- 'open\n; /* B; ' */ C", ["A", "C"]),
        ("A '-- not a comment; /*'; B", ["A '-- not a comment; /*'", "B"]),
        ("SELECT /*+ OPTIONS('a;b'='c') */ 1;", ["SELECT /*+ OPTIONS('a;b'='c') */ 1"]),
        (
            "execute statement\nset begin insert into a select 1; INSERT INTO b SELECT CASE WHEN x THEN 1 END; end; C",
            [
                (
                    "execute statement\nset begin\ninsert into a select 1;\n"
                    "INSERT INTO b SELECT CASE WHEN x THEN 1 END;\nEND"
                ),
                "C",
            ],
        ),
    ],
)
def test_statements_end_at_semicolons_that_are_not_quoted(script: str, statements: list[str]) -> None:
    assert split(script) == statements


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("A;\nB 'open;\n", "line 2: the ' is never closed"),
        ("A `open", "the ` is never closed"),
        ("A /* open", "is never closed"),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;", "no END"),
        ("CREATE TABLE a (n INT)", "no INSERT"),
        ("INSERT INTO a SELECT 1; INSERT INTO b SELECT 1", "EXECUTE STATEMENT SET BEGIN"),
        ("SELECT 1; INSERT INTO a SELECT 1", "INSERT INTO a table"),
        ("SET a = b; INSERT INTO a SELECT 1", "single quotes"),
        ("INSERT INTO a SELECT 1; SET 'high-availability.cluster-id' = 'x'", "the operator decides"),
        ("RESET 'a'; INSERT INTO a SELECT 1", "leave the SET out"),
        ("BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END", "EXECUTE STATEMENT SET"),
    ],
)
def test_a_script_that_cannot_be_one_job_is_refused_as_a_whole(script: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(script)


def test_settings_before_the_first_statement_are_known_when_the_environment_is_made() -> None:
    settings, statements = plan("SET 'a' = 'it''s'; SET 'b'='';  CREATE TABLE t (n INT); SET 'c'='d'; INSERT INTO t x")

    assert settings == {"a": "it's", "b": ""}
    assert statements == ["CREATE TABLE t (n INT)", "SET 'c'='d'", "INSERT INTO t x"]


@pytest.mark.parametrize("key", OPERATORS)
def test_what_a_script_may_not_set_is_what_a_spec_may_not_set(key: str) -> None:
    assert refusal(key) or refusal(f"{key}x") or any(own.startswith(key) for own in OPERATOR_KEYS)


def test_the_example_is_one_job() -> None:
    settings, statements = plan(EXAMPLE.read_text(encoding="utf-8"))

    assert settings
    assert statements[-1].startswith("EXECUTE STATEMENT SET BEGIN")
