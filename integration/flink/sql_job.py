"""The program of a job of type `sql`: it runs the statements of one SQL script as one Flink job.

The renderer ships this file's text, and PyFlink of the job's own Flink version runs it in the JobManager; the
operator itself only imports `split`. Flink 2.x has a driver of its own for that (FLIP-480, `SqlDriver`), but 1.20 has
not, and the distributions on PyPI lack the jar that it needs (`flink-sql-gateway`).

A generation is one Flink job, so a script has exactly one statement that starts one: an INSERT, or
EXECUTE STATEMENT SET BEGIN ... END for several. Everything is looked at before anything is run.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*(?!\+).*?\*/ )
    | (?P<quoted>  '(?:[^']|'')*' | `(?:[^`]|``)*` )
    | (?P<open>    ['`] | /\*(?!\+) )
    | (?P<end>     ; )
    | (?P<other>   [A-Za-z_][A-Za-z_0-9]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SET_BLOCK = re.compile(r"EXECUTE\s+STATEMENT\s+SET\s+BEGIN\b", re.IGNORECASE)
_END = re.compile(r"END\s*$", re.IGNORECASE)
_SET = re.compile(r"SET\s+'((?:[^']|'')+)'\s*=\s*'((?:[^']|'')*)'\s*$", re.IGNORECASE)
_RUNS = re.compile(r"(INSERT|EXECUTE)\s", re.IGNORECASE)
_REFUSED = {
    "SELECT": "its rows would go nowhere; INSERT INTO a table",
    "WITH": "its rows would go nowhere; INSERT INTO a table",
    "RESET": "leave the SET out instead",
    "BEGIN": "write EXECUTE STATEMENT SET BEGIN ... END",
}
OPERATORS = (
    "$internal.",
    "execution.checkpointing.dir",
    "execution.checkpointing.externalized-checkpoint-retention",
    "execution.checkpointing.savepoint-dir",
    "execution.savepoint",
    "execution.state-recovery.",
    "high-availability",
    "job-result-store.",
    "parallelism.default",
    "state.checkpoints.dir",
    "state.savepoints.dir",
)
"""Beginnings of keys that a script could set, and that would break what keeps generations apart (S1, S2)."""


def split(script: str) -> list[str]:
    """The statements of a script, without comments; hints (`/*+ ... */`) stay. ValueError for what is left open."""
    statements: list[str] = []
    block: list[str] | None = None
    for text in _pieces(script):
        if block is not None:
            if _END.match(text):
                statements.append("".join([*block, "END"]))
                block = None
            else:
                block.append(f"{text};\n")
        elif found := _SET_BLOCK.match(text):
            block = [f"{found[0]}\n", f"{text[found.end() :].strip()};\n"]
        elif text:
            statements.append(text)
    if block is not None:
        raise ValueError("EXECUTE STATEMENT SET BEGIN has no END; it belongs behind the last INSERT and its semicolon")
    return statements


def _pieces(script: str) -> Iterator[str]:
    """What stands between semicolons."""
    piece: list[str] = []
    for token in _TOKEN.finditer(script):
        if token["open"]:
            line = script.count("\n", 0, token.start()) + 1
            raise ValueError(f"line {line}: the {token['open']} is never closed")
        if token["end"]:
            yield "".join(piece).strip()
            piece = []
        else:
            piece.append(" " if token["comment"] else token[0])
    yield "".join(piece).strip()


def plan(script: str) -> tuple[dict[str, str], list[str]]:
    """(settings before the first other statement, the statements behind them); ValueError when it is not one job."""
    statements = split(script)
    first: dict[str, str] = {}
    while statements and (setting := setting_of(statements[0])):
        first[setting[0]] = setting[1]
        statements.pop(0)
    for statement in statements:
        setting_of(statement)
        word = statement.split(None, 1)[0].upper()
        if word in _REFUSED:
            raise ValueError(f"{_short(statement)}: {word} cannot be used here; {_REFUSED[word]}")
    runs = [statement for statement in statements if _RUNS.match(statement)]
    if not runs:
        raise ValueError("the script has no INSERT, so there is nothing to run")
    if len(runs) > 1:
        raise ValueError(
            f"the script would start {len(runs)} jobs, and a second one at {_short(runs[1])}; "
            "put all INSERTs into one EXECUTE STATEMENT SET BEGIN ... END"
        )
    return first, statements


def setting_of(statement: str) -> tuple[str, str] | None:
    """(key, value) of `SET 'key' = 'value'`; None for any other statement. ValueError for another form of SET."""
    if not re.match(r"SET\b", statement, re.IGNORECASE):
        return None
    found = _SET.match(statement)
    if found is None:
        raise ValueError(f"{_short(statement)}: write SET 'key' = 'value', both in single quotes")
    key = found[1].replace("''", "'")
    if key.startswith(OPERATORS):
        raise ValueError(f"{key} cannot be set: the operator decides it")
    return key, found[2].replace("''", "'")


def _short(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def run(path: str) -> None:
    """Run the script at `path`; a relative one is in the sandbox, where the fetcher has put it."""
    table = importlib.import_module("pyflink.table")
    configuration = importlib.import_module("pyflink.common").Configuration()
    script = Path(os.environ.get("MESOS_SANDBOX", "."), path).read_text(encoding="utf-8")
    settings, statements = plan(script)
    for key, value in settings.items():
        configuration.set_string(key, value)
    # The runtime mode is read when the environment is made, and never again.
    environment = table.TableEnvironment.create(
        table.EnvironmentSettings.new_instance().with_configuration(configuration).build()
    )
    for statement in statements:
        setting = setting_of(statement)
        if setting:
            environment.get_config().set(*setting)
        else:
            print(f"weir: {_short(statement)}", flush=True)  # noqa: T201 - this is the job's own output
            environment.execute_sql(statement)


if __name__ == "__main__":
    try:
        run(sys.argv[1])
    except (ValueError, OSError) as error:
        sys.exit(f"weir: {sys.argv[1]}: {error}")
