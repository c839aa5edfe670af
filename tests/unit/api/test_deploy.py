"""Dashboard and alert rules: every name in them is one that is exposed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.api.conftest import Site

DEPLOY = Path(__file__).parents[3] / "deploy"
NAME = re.compile(r"\b((?:weir|flink)_[A-Za-z0-9_]+)\b(?!\s*=)")
FUNCTIONS = {
    "absent", "and", "by", "changes", "count", "histogram_quantile", "increase", "label_values", "le", "max", "or",
    "rate", "sum", "vector",
}  # fmt: skip


def rules() -> list[dict[str, Any]]:
    text = (DEPLOY / "prometheus" / "weir-alerts.yaml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "weir.json").read_text())
    return found


def queries() -> Iterator[str]:
    """Every query of the dashboard and of the rules."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if isinstance(variable["query"], dict):
            yield variable["query"]["query"]
    for annotation in dashboard()["annotations"]["list"]:
        yield annotation["expr"]
    for rule in rules():
        yield rule["expr"]


def names(query: str) -> set[str]:
    """The names of series that a query reads; labels are left out."""
    return set(NAME.findall(re.sub(r"\b(?:by|without) \([^)]*\)|\{[^}]*\}", "", query)))


def test_prometheus_has_a_token_wherever_it_asks_weir_once_the_lines_for_it_are_taken_in() -> None:
    text = (DEPLOY / "prometheus" / "prometheus.yaml").read_text()
    weir, flink = yaml.safe_load(text.replace("# authorization:", "authorization:"))["scrape_configs"]
    discovered = flink["http_sd_configs"]

    assert all("credentials_file" in each["authorization"] for each in (weir, *discovered))
    replicas = weir["static_configs"][0]["targets"]
    assert [each["url"] for each in discovered] == [f"http://{name}/api/v1/prometheus/targets" for name in replicas]


def test_every_series_of_weir_that_is_asked_for_is_exposed(leading: Site) -> None:
    leading.apply(job={"type": "python", "uri": "file:///srv/job.py", "savepointTriggerNonce": 1})
    leading.world.users.put_job("broken", b"{")
    leading.let_pass(20)
    exposed = set()
    for family in text_string_to_metric_families(leading.text("/metrics")):
        exposed.add(family.name)
        exposed |= {sample.name for sample in family.samples}
        exposed |= {f"{family.name}_total"} if family.type == "counter" else set()
    asked = {name for query in queries() for name in names(query) if name.startswith("weir_")}

    assert len(asked) > 20
    assert asked <= exposed, asked - exposed


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_is_well_formed(query: str) -> None:
    bare = re.sub(r'"[^"]*"', '""', query)
    for opened, closed in ("()", "[]", "{}"):
        assert bare.count(opened) == bare.count(closed)
    for window in re.findall(r"\[([^\]]*)\]", bare):
        assert re.fullmatch(r"\d+[smhd]", window)
    for function in re.findall(r"\b([a-z_]+)\s*\(", bare):
        assert function in FUNCTIONS, function
    for name in re.findall(r"(?:rate|increase)\((\w+)", bare):
        assert name.endswith(("_total", "_bucket", "_count", "_sum")) or name.startswith("flink_"), name


def test_a_rule_says_what_to_do() -> None:
    found = rules()

    assert len({rule["alert"] for rule in found}) == len(found)
    for rule in found:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_scrape_configuration_asks_where_the_targets_are(leading: Site) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    urls = [each["url"] for job in config["scrape_configs"] for each in job.get("http_sd_configs", ())]

    assert urls
    for url in urls:
        path = "/" + url.split("/", 3)[3]
        assert leading.get(path)
