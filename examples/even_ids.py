"""Keep the rows with an even id and number them: the job of the demo.

    {"id": 1, "value": "a"}            files with one JSON object per line, renamed into --input
    {"id": 2, "value": "b"}     ->     {"id": 2, "value": "b", "count": 1}     committed files in --output

`count` is a running count in keyed state over all rows, so a state that was lost, or restored twice,
shows as a gap or a repetition: over all committed files it is exactly 1..N (`check_even_ids.py`).

It is a Table program on purpose. Python only describes it: filter and count run inside the JVM, so a
TaskManager needs no Python worker (about 170 MB and several seconds each), and the ids of the SQL
operators stay the same at another parallelism with `table.exec.uid.generation: ALWAYS`, which Weir
sets by default. Reading and filtering have the job's parallelism; the count has one key and therefore
one subtask, and the writer behind it too, so that committed rows are always a prefix 1..N.
"""

from __future__ import annotations

import argparse

from pyflink.table import EnvironmentSettings, TableEnvironment

SOURCE = """
CREATE TABLE numbers (
    `id` BIGINT,
    `value` STRING,
    `at` AS PROCTIME()
) WITH (
    'connector' = 'filesystem',
    'path' = '{path}',
    'format' = 'json',
    'source.monitor-interval' = '500 ms'
)
"""

# Rows are visible once their file is finished: it is closed about every second and committed with
# the next checkpoint.
SINK = """
CREATE TABLE evens (
    `id` BIGINT,
    `value` STRING,
    `count` BIGINT
) WITH (
    'connector' = 'filesystem',
    'path' = '{path}',
    'format' = 'json',
    'sink.rolling-policy.rollover-interval' = '1 s',
    'sink.rolling-policy.inactivity-interval' = '1 s',
    'sink.rolling-policy.check-interval' = '500 ms'
)
"""

COUNT = """
INSERT INTO evens
SELECT `id`, `value`, COUNT(*) OVER (ORDER BY `at` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
FROM numbers
WHERE MOD(`id`, 2) = 0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="directory that JSON lines files are renamed into")
    parser.add_argument("--output", required=True, help="directory of the results")
    options = parser.parse_args()

    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    tables.execute_sql(SOURCE.format(path=_quoted(options.input)))
    tables.execute_sql(SINK.format(path=_quoted(options.output)))
    tables.execute_sql(COUNT)


def _quoted(path: str) -> str:
    return path.replace("'", "''")


if __name__ == "__main__":
    main()
