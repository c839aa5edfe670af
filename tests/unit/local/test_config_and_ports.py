"""Settings, the layout that follows from them, and the ports of a stack."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from integration.local import ports
from integration.local.config import Layout, LocalConfig, load_config
from integration.local.errors import LocalStackError, PortTaken
from integration.local.mesos_env import agent_environment, master_environment


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(LocalConfig(state_dir=tmp_path, agents=3, task_port_base=31000))


def test_the_settings_survive_being_stored(tmp_path: Path) -> None:
    config = LocalConfig(
        state_dir=tmp_path,
        agents=3,
        agent_attributes={2: "rack:r9"},
        flink_versions=("1.20", "2.2"),
        port_base=30000,
        task_port_base=31000,
    )
    Layout(config).save()
    assert load_config(tmp_path) == config


def test_a_directory_without_a_stack_has_no_settings(tmp_path: Path) -> None:
    assert load_config(tmp_path) is None


def test_broken_settings_are_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(LocalStackError, match=r"stack\.json.*rm "):
        load_config(tmp_path)


@pytest.mark.parametrize("settings", [{"agents": 0}, {"masters": 10}, {"zookeepers": 2}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(LocalStackError, match="refused"):
        LocalConfig(**settings)  # type: ignore[arg-type]


def test_every_address_of_a_stack_is_its_own(tmp_path: Path) -> None:
    layout = Layout(LocalConfig(state_dir=tmp_path, zookeepers=9, masters=9, agents=20, task_port_base=31000))
    found = [port for addresses in layout.service_addresses().values() for _, port in addresses]
    assert len(found) == len(set(found))
    assert all(layout.base <= port < layout.base + 80 for port in found), "the last 20 belong to callers"


def test_agents_have_hosts_attributes_and_disjoint_ports_of_their_own(layout: Layout, tmp_path: Path) -> None:
    environments = [agent_environment(layout, number, tmp_path) for number in (1, 2, 3)]
    assert [env["MESOS_HOSTNAME"] for env in environments] == ["agent-1", "agent-2", "agent-3"]
    assert [env["LIBPROCESS_IP"] for env in environments] == ["127.0.0.11", "127.0.0.12", "127.0.0.13"]
    assert environments[1]["MESOS_ATTRIBUTES"] == "rack:r2"
    assert environments[1]["MESOS_RESOURCES"].endswith(";ports:[31200-31399]")
    assert len({env["MESOS_WORK_DIR"] for env in environments}) == 3


def test_resources_attributes_and_flags_can_be_chosen(tmp_path: Path) -> None:
    config = LocalConfig(
        state_dir=tmp_path,
        task_port_base=31000,
        agent_resources={2: "cpus:1;mem:512"},
        agent_attributes={2: "zone:z"},
        mesos_flags={"logging_level": "WARNING"},
        master_flags={"MESOS_ROLES": "a"},
    )
    agent, master = agent_environment(Layout(config), 2, tmp_path), master_environment(Layout(config), 1)
    assert agent["MESOS_RESOURCES"].startswith("cpus:1;mem:512;ports:[")
    assert agent["MESOS_ATTRIBUTES"] == "zone:z"
    assert agent["MESOS_LOGGING_LEVEL"] == master["MESOS_LOGGING_LEVEL"] == "WARNING"
    assert master["MESOS_ROLES"] == "a"
    assert "MESOS_ROLES" not in agent


def test_nothing_of_the_callers_environment_reaches_mesos(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESOS_QUIET", "true")
    assert "MESOS_QUIET" not in agent_environment(layout, 1, tmp_path)


def test_a_taken_port_is_refused_with_its_holder_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            ports.require_free({"master-1": [("127.0.0.1", port)]})
    text = str(caught.value)
    assert f"port {port} for master-1 is taken" in text
    assert f"process {os.getpid()}" in text
    assert "--port-base" in text


def test_free_ports_are_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ports.require_free({"zk-1": [("127.0.0.1", port)]})


def test_two_stacks_choose_different_ranges_and_a_claim_ends_with_its_file(tmp_path: Path) -> None:
    wanted = LocalConfig(state_dir=tmp_path, port_base=None, task_port_base=None)
    first, first_claim = ports.choose(wanted)
    second, second_claim = ports.choose(wanted)
    assert first_claim is not None
    assert second_claim is not None
    assert first.port_base != second.port_base
    assert first.agent_network != second.agent_network
    ranges = [Layout(config).task_ports(number) for config in (first, second) for number in (1, 2)]
    assert len({port for low, high in ranges for port in range(low, high + 1)}) == sum(h - l + 1 for l, h in ranges)  # noqa: E741
    first_claim.close()
    again, third_claim = ports.choose(wanted)
    assert third_claim is not None
    assert again.port_base == first.port_base
    second_claim.close()
    third_claim.close()


def test_given_ports_are_taken_as_they_are(tmp_path: Path) -> None:
    config = LocalConfig(state_dir=tmp_path, port_base=30000, task_port_base=30100)
    assert ports.choose(config) == (config, None)


def test_the_default_stack_has_fixed_ports(tmp_path: Path) -> None:
    config, claim = ports.choose(LocalConfig(state_dir=tmp_path))
    assert (config.port_base, config.task_port_base, config.agent_network, claim) == (21800, 31000, "127.0.0", None)


def test_a_stack_on_other_ports_offers_other_task_ports_too(tmp_path: Path) -> None:
    config, claim = ports.choose(LocalConfig(state_dir=tmp_path, port_base=30000))
    assert claim is not None
    claim.close()
    assert config.port_base == 30000
    assert config.task_port_base not in (None, 31000)


def test_agents_share_the_task_range_of_a_chosen_slot(tmp_path: Path) -> None:
    config, claim = ports.choose(LocalConfig(state_dir=tmp_path, agents=8, port_base=None, task_port_base=None))
    assert claim is not None
    claim.close()
    assert config.ports_per_agent == 50
    assert replace(config, ports_per_agent=200) != config
