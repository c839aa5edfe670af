"""Rows with an even id, from one Kafka topic into another, exactly once.

    input_topic    {"id": 1, "value": "a"}
                   {"id": 2, "value": "b"}     ->     output_topic    {"id": 2, "value": "b"}

The rows of the output become visible with the checkpoint that they belong to: they are written in Kafka
transactions, which the connector commits when a checkpoint is complete. Two things follow.

- Whoever reads the output topic has to read with `isolation.level=read_committed`; a consumer with Kafka's
  default, `read_uncommitted`, also sees rows of transactions that were aborted and written again.
- The broker aborts a transaction that stays open for longer than `transaction.timeout.ms`, and with it rows of
  a checkpoint that is complete already. So it has to be longer than the checkpoint interval and the longest
  time in which the job may be down in between, and not longer than the broker's `transaction.max.timeout.ms`
  (15 minutes by default; the connector's own default, one hour, is refused by such a broker).

The prefix of transactional ids has to stay the same from one run of the job to the next, so that a restarted
job finds and aborts what its predecessor left open, and has to be this job's alone.

It needs the jar of the Flink SQL connector for Kafka: `pipeline.classpaths` in `flinkConfiguration`, or
`--connector file:///path/to/flink-sql-connector-kafka-<version>.jar`.
"""

from __future__ import annotations

import argparse

from pyflink.table import EnvironmentSettings, TableEnvironment

SOURCE = """
CREATE TABLE input_table (
    `id` INT,
    `value` STRING
) WITH (
    'connector' = 'kafka',
    'topic' = '{topic}',
    'properties.bootstrap.servers' = '{servers}',
    'properties.group.id' = '{group}',
    'properties.isolation.level' = 'read_committed',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json'
)
"""

SINK = """
CREATE TABLE output_table (
    `id` INT,
    `value` STRING
) WITH (
    'connector' = 'kafka',
    'topic' = '{topic}',
    'properties.bootstrap.servers' = '{servers}',
    'format' = 'json',
    'sink.delivery-guarantee' = 'exactly-once',
    'sink.transactional-id-prefix' = '{prefix}',
    'properties.transaction.timeout.ms' = '{timeout}'
)
"""

FILTER = """
INSERT INTO output_table
SELECT `id`, `value` FROM input_table WHERE `id` % 2 = 0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", required=True, help="host:port,host:port of the brokers")
    parser.add_argument("--input-topic", default="input_topic")
    parser.add_argument("--output-topic", default="output_topic")
    parser.add_argument("--group", default="test_group", help="consumer group that offsets are committed to")
    parser.add_argument("--transactional-id-prefix", default="kafka-even-ids", help="of this job alone, never changed")
    parser.add_argument("--transaction-timeout-ms", type=int, default=600_000, help="at most the broker's maximum")
    parser.add_argument("--connector", help="URL of the connector's jar, unless the cluster has it already")
    options = parser.parse_args()

    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    if options.connector:
        tables.get_config().set("pipeline.jars", options.connector)
    servers = _quoted(options.bootstrap_servers)
    source = SOURCE.format(topic=_quoted(options.input_topic), servers=servers, group=_quoted(options.group))
    sink = SINK.format(
        topic=_quoted(options.output_topic),
        servers=servers,
        prefix=_quoted(options.transactional_id_prefix),
        timeout=options.transaction_timeout_ms,
    )
    tables.execute_sql(source)
    tables.execute_sql(sink)
    tables.execute_sql(FILTER)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


if __name__ == "__main__":
    main()
