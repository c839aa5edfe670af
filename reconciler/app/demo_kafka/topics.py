"""The rows as they are in Kafka: topics, who feeds one, who reads the other.

Readers are `read_committed`: rows of the output exist once their transaction is committed, not when they are written.
The client library is pure Python and only the demo needs it, so it is imported when it is used.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from reconciler.app.demo.poem import line
from reconciler.app.demo.story import DemoFailed
from reconciler.app.demo_kafka.rows import Row

_PATIENCE_MS = 30_000
_OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")


def library() -> Any:
    """`kafka-python`. Raises DemoFailed when it is not installed."""
    try:
        return importlib.import_module("kafka")
    except ImportError:
        raise DemoFailed("the Kafka client is not installed; run: pip install kafka-python") from None


class Topics:
    """The topics of one broker."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._kafka = library()

    def create(self, names: Sequence[str], partitions: int) -> None:
        """Create topics; one that exists already is an error."""
        wanted = {name: {"num_partitions": partitions, "replication_factor": 1} for name in names}
        with self.failing("topics cannot be created"), closing(self._admin()) as admin:
            admin.create_topics(wanted, timeout_ms=_PATIENCE_MS)

    def read(self, topic: str, *, committed: bool = True) -> list[Row]:
        """Every row from the beginning to the end; without `committed` also those that were aborted."""
        with self.failing(f"{topic} cannot be read"), closing(Reader(self, topic, committed=committed)) as reader:
            return list(reader.rest())

    def open_transactions(self) -> list[str]:
        """Transactional ids of transactions that are neither committed nor aborted."""
        with self.failing("transactions cannot be listed"), closing(self._admin()) as admin:
            by_broker = admin.list_transactions()
        return sorted(one.transactional_id for found in by_broker.values() for one in found if one.state in _OPEN)

    def lag(self, group: str, topic: str) -> int:
        """How many records of `topic` lie behind the offsets that `group` has committed."""
        what = f"offsets of {group} cannot be read"
        with self.failing(what), closing(self._admin()) as admin, closing(self.consumer(topic)) as consumer:
            partitions = consumer.assignment()
            committed = admin.list_group_offsets({group: list(partitions)})[group]
            ends = consumer.end_offsets(partitions, timeout_ms=_PATIENCE_MS)
        # A partition without a committed offset is told as -1.
        return sum(end - max(0, committed[partition].offset) for partition, end in ends.items())

    def consumer(self, topic: str, *, committed: bool = True) -> Any:
        """A consumer of all partitions of `topic` from the earliest offset, in no group."""
        consumer = self._kafka.KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed" if committed else "read_uncommitted",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            group_id=None,
            fetch_max_wait_ms=100,
        )
        numbers = consumer.partitions_for_topic(topic) or ()
        consumer.assign([self._kafka.TopicPartition(topic, number) for number in sorted(numbers)])
        return consumer

    def producer(self) -> Any:
        """An idempotent producer: what it sends again is stored once."""
        return self._kafka.KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True)

    def _admin(self) -> Any:
        return self._kafka.KafkaAdminClient(bootstrap_servers=self.bootstrap)

    @contextmanager
    def failing(self, what: str) -> Iterator[None]:
        """Errors of the client become DemoFailed."""
        try:
            yield
        except (self._kafka.errors.KafkaError, OSError) as error:
            raise DemoFailed(f"{what}: {type(error).__name__} {error}") from error


class Reader:
    """Reads on from where it is."""

    def __init__(self, topics: Topics, topic: str, *, committed: bool = True) -> None:
        self._topic = topic
        self._consumer = topics.consumer(topic, committed=committed)

    def close(self) -> None:
        self._consumer.close(autocommit=False)

    def available(self, timeout_ms: int = 50) -> list[Row]:
        """What is there now."""
        return [row for batch in self._consumer.poll(timeout_ms=timeout_ms).values() for row in self._rows(batch)]

    def rest(self) -> Iterator[Row]:
        """Everything up to what is the end now: the last stable offset, where only what is committed is read."""
        ends = self._consumer.end_offsets(self._consumer.assignment(), timeout_ms=_PATIENCE_MS)
        if not ends:
            raise DemoFailed(f"there is no topic {self._topic}")
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            yield from self.available(500)

    def _rows(self, batch: Any) -> Iterator[Row]:
        for record in batch:
            try:
                yield Row.decode(record.value)
            except ValueError as error:
                raise DemoFailed(
                    f"{self._topic}, partition {record.partition}, offset {record.offset}: {error}"
                ) from None


class Sink:
    """Counts rows of the output as their transactions are committed."""

    def __init__(self, topics: Topics, topic: str) -> None:
        self._topics = topics
        self._what = f"{topic} cannot be read"
        with topics.failing(self._what):
            self._reader = Reader(topics, topic)
        self._rows = 0

    def rows(self) -> int:
        """How many there are so far. Raises DemoFailed."""
        with self._topics.failing(self._what):
            self._rows += len(self._reader.available())
        return self._rows

    def close(self) -> None:
        self._reader.close()


class Feeder:
    """Produces rows `(id, value)`, numbered from 1: `batch` rows every `every` seconds.

    Rows are counted when the broker has acknowledged them: a row that is counted has been fed.
    """

    def __init__(self, topics: Topics, topic: str, partitions: int, batch: int = 20, every: float = 0.5) -> None:
        self._topics = topics
        self._topic = topic
        self._partitions = partitions
        self._batch = batch
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self.rows = 0
        self.error: Exception | None = None

    @property
    def evens(self) -> int:
        """How many rows with an even id were fed so far."""
        return self.rows // 2

    def start(self) -> None:
        """Feed until `finish`."""
        self._thread.start()

    def finish(self) -> int:
        """Stop after the current batch; how many rows there are in all. Raises DemoFailed when feeding failed."""
        self.stop()
        self.check()
        return self.rows

    def stop(self) -> None:
        """The same, and whatever went wrong is not said."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30.0)

    def check(self) -> None:
        """Raise DemoFailed when feeding failed."""
        if self.error is not None:
            raise DemoFailed(f"the feeder cannot write to {self._topic}: {self.error}") from self.error

    def _run(self) -> None:
        try:
            with closing(self._topics.producer()) as producer:
                self._feed(producer)
                while not self._stop.wait(self._every):
                    self._feed(producer)
        except Exception as error:  # whatever it is, the thread that narrates has to learn of it
            self.error = error

    def _feed(self, producer: Any) -> None:
        ids = range(self.rows + 1, self.rows + self._batch + 1)
        sent = [
            # Pairs of an odd and an even id share a partition, so that every partition has some of both.
            producer.send(self._topic, Row(n, line(n)).encode(), partition=(n + 1) // 2 % self._partitions)
            for n in ids
        ]
        producer.flush(_PATIENCE_MS / 1000)
        for future in sent:
            future.get(_PATIENCE_MS / 1000)
        self.rows = ids[-1]
