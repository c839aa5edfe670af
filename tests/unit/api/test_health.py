"""Health endpoints: what a supervisor and a load balancer ask."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.unit.api.conftest import Site


def test_a_follower_is_alive_and_ready_and_does_not_lead(site: Site) -> None:
    assert site.get("/livez")["ok"]
    assert site.get("/readyz")["ok"]
    assert site.get("/leader", 503) == {"replica": "r", "leads": False, "leader": None}


def test_a_follower_without_zookeeper_is_alive_but_not_ready(site: Site) -> None:
    site.connected, site.tree.silent = False, True

    assert site.get("/livez")["ok"]
    assert not site.get("/readyz", 503)["checks"]["zookeeper"]["ok"]
    assert site.get("/leader", 503)["leader"] is None


def test_a_leader_is_ready_once_its_first_view_is_complete(site: Site) -> None:
    site.world.apply()
    leader = site.lead()
    leader.hold("store")
    leader.settle()
    assert site.get("/livez")["ok"]
    taking_over = site.get("/readyz", 503) if site.monitor.published else None
    leader.hold()
    site.let_pass(5)

    assert taking_over is None or not taking_over["checks"]["leadership"]["ok"]
    ready = site.get("/readyz")
    assert ready["checks"]["leadership"]["ok"]
    told = site.get("/leader")
    assert (told["leads"], told["leader"]["replica"], told["leader"]["epoch"]) == (True, "r", 1)


def test_a_loop_that_hangs_is_not_alive(leading: Site, frozen: Callable[[float], None]) -> None:
    frozen(60.0)

    probe = leading.get("/livez", 503)
    assert not probe["ok"]
    said = re.search(r"for (\d+) s", probe["checks"]["loop"]["message"])
    assert said is not None
    assert int(said[1]) >= 60, "more on a busy machine"
