"""The demo on Kafka as a test: the same story, on the session's stack, with replicas and a broker of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from integration.local.kafka import KafkaBroker
from integration.local.kafka_maven import fetch_connector
from integration.local.stack import LocalStack
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.report import failure
from reconciler.app.demo.story import Story
from reconciler.app.demo_kafka.scenario import JOB, Scenario

pytestmark = pytest.mark.stack


@pytest.fixture
def broker(stack: LocalStack) -> Iterator[KafkaBroker]:
    found = KafkaBroker(stack)
    try:
        yield found.start()
    finally:
        with contextlib.suppress(Exception):  # the first error is the one to be reported
            found.stop()


@pytest.fixture
def installation(stack: LocalStack, tmp_path: Path) -> Iterator[Installation]:
    with Installation(stack, tmp_path, root="/kafka-e2e", replicas=2, prefix="kafka-replica") as found:
        found.start()
        try:
            yield found
        finally:
            found.stop()
            _tear_down(found)


def _tear_down(installation: Installation) -> None:
    """The stack is shared: whatever a failed test left running would take the next one's resources."""
    leader, framework = installation.stack.leader(), installation.framework_id()
    if leader is not None and framework is not None:
        httpx.post(f"{leader.url}/master/teardown", data={"frameworkId": framework}, timeout=10.0, trust_env=False)


def test_rows_between_topics_survive_a_kill_and_an_upgrade_exactly_once(
    stack: LocalStack, broker: KafkaBroker, installation: Installation
) -> None:
    story = Story()
    connector = fetch_connector("2.2", stack.config.cache)
    try:
        outcome = Scenario(installation, broker, connector, story).run()
    except Exception as error:
        failure(installation, JOB, error, story.console)
        raise
    finally:
        story.summary()
    assert outcome.comparison.complete, outcome
    assert outcome.comparison.committed == outcome.comparison.expected > 0
