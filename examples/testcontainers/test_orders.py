"""An example of a suite of your own: your job on a real Weir, with real faults. Copy it and put your job in.

pip install 'weir[containers]' pytest
pytest examples/testcontainers
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.containers import SpecRefused, WeirStack

JOB = Path(__file__).parents[1] / "even_ids.py"


@pytest.fixture(scope="module")
def weir() -> Iterator[WeirStack]:
    with WeirStack(replicas=2, agents=2, zookeepers=1) as stack:
        yield stack


@pytest.fixture(scope="module")
def orders(weir: WeirStack) -> Path:
    """The job runs; the directory that it reads, which has the same path here and in every container."""
    source = weir.shared / "orders" / "in"
    source.mkdir(parents=True)
    weir.apply(
        {
            "flinkVersion": "2.2",
            "flinkConfiguration": {"execution.checkpointing.interval": "1s"},
            "job": {
                "type": "python",
                "uri": weir.publish(JOB),
                "args": ["--input", str(source), "--output", str(source.parent / "out")],
            },
            "health": {"stableAfter": "2s"},
        },
        name="orders",
    )
    weir.wait_for("orders", "STABLE")
    return source


def put(source: Path, *ids: int) -> None:
    staged = source.parent / f"{ids[0]}.json"
    staged.write_text("".join(json.dumps({"id": n, "value": f"order {n}"}) + "\n" for n in ids))
    staged.rename(source / staged.name)  # Flink never sees half of a file


def written(source: Path) -> list[int]:
    files = [path for path in (source.parent / "out").glob("*") if path.name[0] not in "._"]
    return sorted(json.loads(line)["id"] for path in files for line in path.read_text().splitlines())


def test_orders_with_an_even_id_are_kept(weir: WeirStack, orders: Path) -> None:
    put(orders, 1, 2, 3, 4)
    weir.wait_until("both even rows are written", lambda: written(orders) == [2, 4])


def test_orders_survive_the_loss_of_the_machine_that_they_run_on(weir: WeirStack, orders: Path) -> None:
    status = weir.status("orders")
    assert status is not None
    lost = next(task.hostname for task in status.task_list if task.role == "tm" and task.state == "TASK_RUNNING")
    assert lost is not None
    weir.kill(lost)
    put(orders, 5, 6)
    weir.wait_until("the new row is written, and no other again", lambda: written(orders) == [2, 4, 6])
    weir.start(lost)


def test_orders_do_not_notice_that_the_leading_replica_dies(weir: WeirStack, orders: Path) -> None:
    leader = weir.leader()
    weir.kill(leader)
    weir.wait_until("the other replica leads", lambda: weir.leader() not in ("", leader))
    put(orders, 7, 8)
    weir.wait_until("the new row is written", lambda: written(orders) == [2, 4, 6, 8])
    weir.start(leader)


def test_a_mistake_in_a_spec_is_told_before_anything_is_written(weir: WeirStack) -> None:
    with pytest.raises(SpecRefused, match="did you mean parallelism"):
        weir.apply(
            {"flinkVersion": "2.2", "job": {"type": "python", "uri": JOB.as_uri(), "paralelism": 2}}, name="typo"
        )
