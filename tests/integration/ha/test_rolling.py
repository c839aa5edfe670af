"""Replicas are replaced one after the other, and one that is too old does not lead."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integration.local.errors import UnknownService
from reconciler.model.record import SCHEMA_VERSION
from tests.chaos.ground import Ground, elapsed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

NEWER = SCHEMA_VERSION + 1
# The shipped program but for the version of the schema that it knows.
NEWER_WEIR = (
    f"import reconciler.model.record as record; record.SCHEMA_VERSION = {NEWER}; "
    "from reconciler.app.cli import main; main()"
)


def test_all_replicas_are_restarted_one_after_the_other(ground: Ground) -> None:
    with ground.unharmed():
        for replica in ground.weir.replicas:
            led = ground.leader()
            began = time.monotonic()
            ground.stack.restart(replica)
            if led.replica == replica:
                ground.other_leader(led)
                print(f"take-over in a rolling restart: {elapsed(began)}")
            ground.until("it contends again", ground.all_contend)


@contextmanager
def schema(ground: Ground, version: int) -> Iterator[None]:
    """The tree as a newer Weir leaves it."""
    path = f"{ground.weir.root}/schema"
    ground.users.set(path, str(version).encode())
    try:
        yield
    finally:
        ground.users.set(path, str(SCHEMA_VERSION).encode())


def test_f60_an_older_replica_does_not_lead_a_newer_tree(ground: Ground) -> None:
    old = ground.leader()
    newer = "replica-newer"
    with ground.unharmed(), schema(ground, NEWER):
        marks = {name: len(ground.stack.logs(name).read_text()) for name in ground.weir.replicas}
        ground.stack.kill(old.replica)
        refusal = f"schema version {NEWER}"
        for name in ground.weir.replicas:
            if name != old.replica:
                ground.until(f"{name} refuses", lambda name=name: refusal in _log(ground, name)[marks[name] :])  # type: ignore[misc]
        ground.stack.start(old.replica)
        ground.until("it ends", lambda: ground.stack.service(old.replica).state == "exited")
        assert refusal in _log(ground, old.replica)[marks[old.replica] :]
        assert ground.weir.leader() is None
        ground.progresses()
        assert ground.users.get(f"{ground.weir.root}/leader/epoch")[0] == str(old.epoch).encode(), "nobody led"

        command = [sys.executable, "-c", NEWER_WEIR, *ground.weir.command(newer)[-5:]]
        ground.stack.add_service(newer, command)
        try:
            assert ground.other_leader(old).replica == newer
        finally:
            ground.stack.stop(newer)


def _log(ground: Ground, replica: str) -> str:
    try:
        return ground.stack.logs(replica).read_text(errors="replace")
    except UnknownService:
        return ""
