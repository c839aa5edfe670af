"""Messages of the Mesos v1 scheduler API to values of the model, and tasks to TaskInfo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from integration.mesos.resources import Raw, ResourcePool
from reconciler.model.events import TaskUpdate
from reconciler.model.observation import TaskState
from reconciler.model.resources import FetchUri, InverseOffer, Offer, TaskInfo

log = structlog.get_logger(__name__)

NANOSECONDS = 1_000_000_000


def value_of(message: Mapping[str, Any], key: str) -> str | None:
    """The `value` of an id message such as `agent_id`, if it is there."""
    holder = message.get(key)
    return str(holder["value"]) if holder and "value" in holder else None


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def attribute_text(attribute: Mapping[str, Any]) -> str:
    """An attribute as Mesos writes it on an agent's command line (Mesos docs, "Attributes and Resources")."""
    if "text" in attribute:
        return str(attribute["text"].get("value", ""))
    if "scalar" in attribute:
        return _number(attribute["scalar"].get("value", 0.0))
    if "ranges" in attribute:
        parts = (f"{r['begin']}-{r['end']}" for r in attribute["ranges"].get("range", ()))
        return "[" + ", ".join(parts) + "]"
    if "set" in attribute:
        return "{" + ", ".join(sorted(str(item) for item in attribute["set"].get("item", ()))) + "}"
    return ""


def _unavailability(raw: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Start (epoch seconds) and length (seconds) of a maintenance window; no length: without end."""
    said = raw.get("unavailability", {})
    start, length = (said.get(key, {}).get("nanoseconds") for key in ("start", "duration"))
    seconds = tuple(float(value) / NANOSECONDS if value is not None else None for value in (start, length))
    return seconds[0], seconds[1]


def to_inverse_offer(raw: Mapping[str, Any]) -> InverseOffer:
    """What Mesos asks about an agent that has a maintenance window."""
    start, length = _unavailability(raw)
    return InverseOffer(str(raw["id"]["value"]), value_of(raw, "agent_id") or "", start or 0.0, length)


def to_offer(raw: Mapping[str, Any], roles: Sequence[str]) -> Offer:
    """An offer with the totals of what we may use of it."""
    pool = ResourcePool(raw.get("resources", ()), roles)
    hostname = str(raw.get("hostname", ""))
    address = raw.get("url", {}).get("address", {})
    start, _ = _unavailability(raw)
    attributes: dict[str, str] = {}
    for attribute in raw.get("attributes", ()):
        attributes.setdefault(str(attribute["name"]), attribute_text(attribute))
    return Offer(
        id=str(raw["id"]["value"]),
        agent_id=str(raw["agent_id"]["value"]),
        hostname=hostname,
        address=str(address.get("ip") or address.get("hostname") or hostname),
        cpus=pool.total("cpus"),
        mem_mb=pool.total("mem"),
        disk_mb=pool.total("disk"),
        gpus=pool.total("gpus"),
        ports=pool.ports(),
        attributes=attributes,
        unavailable_from=start,
        role=str(raw.get("allocation_info", {}).get("role", "*")),
    )


def to_update(status: Mapping[str, Any]) -> TaskUpdate:
    """A status update. A state that this version does not know proves nothing, so it is UNKNOWN."""
    name = str(status.get("state"))
    try:
        state = TaskState(name)
    except ValueError:
        log.warning("mesos.state_unknown", state=name)
        state = TaskState.UNKNOWN
    return TaskUpdate(
        task_id=str(status["task_id"]["value"]),
        state=state,
        agent_id=value_of(status, "agent_id"),
        reason=status.get("reason"),
        message=status.get("message"),
        source=status.get("source"),
        uuid=status.get("uuid") or None,
    )


def kill_policy(grace_s: float) -> Raw:
    return {"grace_period": {"nanoseconds": round(grace_s * NANOSECONDS)}}


def to_task_info(task: TaskInfo, resources: Sequence[Raw]) -> Raw:
    """A command task. `shell: false` with the whole argv: no shell ever reads a user's string."""
    command: Raw = {
        "shell": False,
        "value": task.argv[0],
        "arguments": list(task.argv),
        "environment": {
            "variables": [{"name": name, "type": "VALUE", "value": value} for name, value in sorted(task.env.items())]
        },
    }
    if task.user is not None:
        command["user"] = task.user
    if task.uris:
        command["uris"] = [_uri(uri) for uri in task.uris]
    info: Raw = {
        "name": task.name,
        "task_id": {"value": task.task_id},
        "agent_id": {"value": task.agent_id},
        "resources": list(resources),
        "command": command,
        "kill_policy": kill_policy(task.kill_grace_s),
    }
    if task.labels:
        info["labels"] = {"labels": [{"key": key, "value": value} for key, value in sorted(task.labels.items())]}
    if task.image is not None:
        info["container"] = {
            "type": "MESOS",
            "mesos": {"image": {"type": "DOCKER", "docker": {"name": task.image}}},
        }
    return info


def _uri(fetch: FetchUri) -> Raw:
    uri: Raw = {"value": fetch.value, "extract": fetch.extract, "executable": fetch.executable}
    if fetch.cache:
        uri["cache"] = True
    if fetch.output_file is not None:
        uri["output_file"] = fetch.output_file
    return uri
