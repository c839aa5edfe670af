"""Constraints: what each operator means, and which constraints are refused with which words."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.constraints import checks, fields
from reconciler.model.constraints import MAX_VALUE, Constraint, ConstraintError, Operator, check_pattern, parse
from reconciler.model.spec_parse import SpecInvalid, parse_spec
from tests.unit.place.worlds import candidate, sibling

MEANS: list[tuple[list[str], list[dict[str, str]], dict[str, str], str | None]] = [
    # constraint, siblings, agent -> refusal (None: it may be used)
    (["hostname", "UNIQUE"], [], {"host": "a1"}, None),
    (["hostname", "UNIQUE"], [{"host": "a1"}], {"host": "a1"}, "1 placed already"),
    (["hostname", "UNIQUE"], [{"host": "a1"}], {"host": "a2"}, None),
    (["@hostname", "UNIQUE"], [{"host": "a1"}], {"host": "a1"}, "1 placed already"),
    (["rack", "UNIQUE"], [{"host": "a1", "rack": "r1"}], {"host": "a2", "rack": "r1"}, "1 placed in r1 already"),
    (["rack", "UNIQUE"], [{"host": "a1", "rack": "r1"}], {"host": "a2", "rack": "r2"}, None),
    (["rack", "UNIQUE"], [], {"host": "a1"}, "no rack"),
    (["rack", "UNIQUE"], [{"host": "a1"}], {"host": "a2", "rack": "r1"}, None),
    (["rack", "CLUSTER"], [], {"host": "a1", "rack": "r1"}, None),
    (["rack", "CLUSTER"], [], {"host": "a1"}, "no rack"),
    (["rack", "CLUSTER"], [{"host": "a1", "rack": "r1"}], {"host": "a2", "rack": "r1"}, None),
    (["rack", "CLUSTER"], [{"host": "a1", "rack": "r1"}], {"host": "a2", "rack": "r2"}, "rack is r2, others are on r1"),
    (["rack", "CLUSTER", "r1"], [], {"host": "a1", "rack": "r1"}, None),
    (["rack", "CLUSTER", "r1"], [], {"host": "a1", "rack": "r2"}, "rack is r2"),
    (["rack", "CLUSTER", "r1"], [{"host": "a3", "rack": "r9"}], {"host": "a1", "rack": "r1"},
     "rack is r1, others are on r9"),
    (["hostname", "CLUSTER", "a1"], [], {"host": "a2"}, "hostname is a2"),
    (["rack", "GROUP_BY"], [], {"host": "a1", "rack": "r1"}, None),
    (["rack", "GROUP_BY"], [{"host": "a1", "rack": "r1"}], {"host": "a1", "rack": "r1"}, None),
    (["rack", "GROUP_BY", "2"], [{"host": "a1", "rack": "r1"}], {"host": "a1", "rack": "r1"},
     "1 placed in r1, 1 of 2 groups used"),
    (["rack", "GROUP_BY", "2"], [{"host": "a1", "rack": "r1"}], {"host": "a2", "rack": "r2"}, None),
    (["rack", "GROUP_BY", "2"], [{"host": h, "rack": r} for h, r in (("a", "r1"), ("b", "r1"), ("c", "r2"))],
     {"host": "a", "rack": "r1"}, "2 placed in r1, the smallest group has 1"),
    (["rack", "GROUP_BY", "2"], [{"host": h, "rack": r} for h, r in (("a", "r1"), ("b", "r1"), ("c", "r2"))],
     {"host": "c", "rack": "r2"}, None),
    (["rack", "LIKE", "r[1-3]"], [], {"host": "a1", "rack": "r2"}, None),
    (["rack", "LIKE", "r[1-3]"], [], {"host": "a1", "rack": "r22"}, "rack is r22"),
    (["rack", "LIKE", ".*"], [], {"host": "a1"}, "no rack"),
    (["hostname", "LIKE", "a(1|2)"], [], {"host": "a2"}, None),
    (["rack", "UNLIKE", "r[7-9]"], [], {"host": "a1", "rack": "r7"}, "rack is r7"),
    (["rack", "UNLIKE", "r[7-9]"], [], {"host": "a1", "rack": "r1"}, None),
    (["rack", "UNLIKE", ".*"], [], {"host": "a1"}, None),
    (["rack", "MAX_PER", "2"], [{"host": "a1", "rack": "r1"}], {"host": "a1", "rack": "r1"}, None),
    (["rack", "MAX_PER", "2"], [{"host": "a1", "rack": "r1"}, {"host": "a2", "rack": "r1"}],
     {"host": "a1", "rack": "r1"}, "2 placed in r1 already"),
    (["rack", "MAX_PER", "1"], [], {"host": "a1"}, "no rack"),
    (["rack", "IS", "r1"], [], {"host": "a1", "rack": "r1"}, None),
    (["rack", "IS", "r1"], [], {"host": "a1", "rack": "R1"}, "rack is R1"),
    (["gen", "IS", "4"], [], {"host": "a1", "gen": "4"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "placed", "agent", "refusal"), MEANS)
def test_an_operator_means_what_it_means_in_marathon(
    raw: list[str], placed: list[dict[str, str]], agent: dict[str, str], refusal: str | None
) -> None:
    siblings = [sibling(each.pop("host"), **each) for each in (dict(each) for each in placed)]
    attributes = dict(agent)

    found, broken = checks([raw], siblings)

    assert broken is None
    assert found[0].refusal(candidate(attributes.pop("host"), **attributes)) == refusal


REFUSED: list[tuple[Any, str, str | None]] = [
    (["hostname"], "a constraint has two or three", "write [field, operator]"),
    (["hostname", "LIKE", "a", "b"], "has 4 entries", None),
    ([], "has 0 entries", None),
    (["hostname", "UNIQE"], "is not one of: UNIQUE, CLUSTER", 'did you mean "UNIQUE"?'),
    (["hostname", "unique"], "is not one of", 'did you mean "UNIQUE"?'),
    (["hostname", "group-by"], "is not one of", 'did you mean "GROUP_BY"?'),
    (["hostname", "UNIQUE", "1"], "UNIQUE takes no value", '["hostname", "UNIQUE"]'),
    (["rack", "IS"], "IS needs a value", '["rack", "IS", "r1"]'),
    (["rack", "LIKE", ""], "LIKE needs a value: a regular expression", None),
    (["rack", "MAX_PER"], "MAX_PER needs a value", None),
    (["rack", "MAX_PER", "two"], "a whole number from 1 to 10000", '["rack", "MAX_PER", "2"]'),
    (["rack", "MAX_PER", "0"], "a whole number", None),
    (["rack", "GROUP_BY", "-1"], "a whole number", None),
    (["rack", "GROUP_BY", "٣"], "a whole number", None),
    (["rack", "LIKE", "r["], "is not a regular expression", None),
    (["rack", "LIKE", "(a+)+"], "repeats what repeats", "out of the repeated group"),
    (["rack", "LIKE", "(a|aa)*"], "repeats what repeats", None),
    (["rack", "LIKE", ".*a.*b.*c.*"], "too many ways", "at most three"),
    (["rack", "LIKE", "a?" * 30 + "a" * 30], "too many ways", None),
    (["rack", "LIKE", "x" * 201], "has 201 characters", None),
    (["rack", "LIKE", r"(a)\1"], "back-references", None),
    (["rack", "LIKE", "(?=a)a"], "only plain groups", None),
    (["rack", "IS", "x" * 300], "has 300 characters", None),
    (["", "UNIQUE"], "is not the name of an attribute", None),
    (["@region", "IS", "eu"], "is not known here", "only @hostname is"),
]


@pytest.mark.parametrize(("raw", "message", "hint"), REFUSED)
def test_a_wrong_constraint_is_refused_where_it_stands(raw: list[str], message: str, hint: str | None) -> None:
    document = {
        "flinkVersion": "2.2",
        "job": {"type": "python", "uri": "/srv/a.py"},
        "placement": {"constraints": [["hostname", "UNIQUE"], raw]},
    }

    with pytest.raises(SpecInvalid) as refused:
        parse_spec("orders", json.dumps(document).encode())

    (error,) = refused.value.errors
    assert error.path == "placement.constraints.1"
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


def test_a_number_without_quotes_says_so() -> None:
    document = {
        "flinkVersion": "2.2",
        "job": {"type": "python", "uri": "/srv/a.py"},
        "placement": {"constraints": [["rack", "MAX_PER", 2]]},
    }

    with pytest.raises(SpecInvalid, match=r"placement.constraints.0.2: has to be a string.*quotes"):
        parse_spec("orders", json.dumps(document).encode())


@pytest.mark.parametrize("raw", [["rack", "CLUSTER", ""], ["rack", "GROUP_BY", ""], ["rack", "UNIQUE", ""]])
def test_an_empty_value_is_none(raw: list[str]) -> None:
    assert parse(raw) == Constraint("rack", Operator(raw[1]), None)


@pytest.mark.parametrize(
    "pattern",
    ["r[1-3]", "(rack|row)-[0-9]+", r"agent-\d{1,3}\.example\.com", ".*-(a|b|c)-.*", "[^x]*", "[]a]+", "(ab){3}",
     "a{,3}", "(?:eu|us)-west-[12]", "a++b*?", r"\(x\)*", "[(+*]+"],
)  # fmt: skip
def test_usual_patterns_are_accepted(pattern: str) -> None:
    check_pattern(pattern)


@settings(max_examples=300, deadline=None)
@given(st.text("ab(|)*+?{2,}[]^.\\", max_size=14), st.text("ab", max_size=40))
def test_an_accepted_pattern_always_answers_quickly(pattern: str, value: str) -> None:
    try:
        check_pattern(pattern)
    except ConstraintError:
        return

    start = time.process_time()
    re.fullmatch(pattern, (value + "a" * 60)[:60] + "!")

    assert time.process_time() - start < 1.0


def test_the_worst_accepted_pattern_ends() -> None:
    check_pattern("a*a*a*b")

    start = time.process_time()
    assert re.fullmatch("a*a*a*b", "a" * MAX_VALUE) is None

    assert time.process_time() - start < 2.0


def test_a_constraint_of_another_version_places_nothing_and_says_so() -> None:
    found, broken = checks([["rack", "NEAR", "r1"]], [])

    assert found == []
    assert broken is not None
    assert "constraint rack NEAR r1 cannot be used" in broken


def test_only_named_attributes_are_remembered() -> None:
    assert fields([["hostname", "UNIQUE"], ["@hostname", "LIKE", "a"], ["rack", "GROUP_BY"], []]) == {"rack"}
