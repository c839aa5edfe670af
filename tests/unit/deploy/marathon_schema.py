"""The part of Marathon's documented app definition (Marathon documentation, "REST API", POST /v2/apps) that is used.

Marathon refuses unknown fields; so does this, at every level.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string", "minLength": 1}


def _object(required: list[str] | None = None, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required or [],
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_CONSTRAINT: Schema = {
    "type": "array",
    "minItems": 2,
    "maxItems": 3,
    "prefixItems": [_TEXT, {"enum": ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER"]}, _TEXT],
}
_PORT = _object(
    port={"type": "integer", "minimum": 0, "maximum": 65535},
    protocol={"enum": ["tcp", "udp"]},
    name={"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
)
_HEALTH = _object(
    protocol={"enum": ["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"]},
    path=_TEXT,
    portIndex=_COUNT,
    gracePeriodSeconds=_COUNT,
    intervalSeconds=_COUNT,
    timeoutSeconds=_COUNT,
    maxConsecutiveFailures=_COUNT,
)
_CONTAINER = _object(
    type={"enum": ["DOCKER", "MESOS"]},
    docker=_object(["image"], image=_TEXT, forcePullImage={"type": "boolean"}),
    volumes=_array(_object(containerPath=_TEXT, hostPath=_TEXT, mode={"enum": ["RO", "RW"]})),
)
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}

APP: Schema = {
    **_object(
        ["id"],
        id={"type": "string", "pattern": r"^(/?([a-z0-9][a-z0-9\-.]*)?[a-z0-9])+$"},
        args=_array({"type": "string"}),
        cmd=_TEXT,
        cpus={"type": "number", "minimum": 0},
        mem={"type": "number", "minimum": 0},
        instances=_COUNT,
        constraints=_array(_CONSTRAINT),
        container=_CONTAINER,
        networks=_array(_object(mode={"enum": ["container", "container/bridge", "host"]})),
        portDefinitions=_array(_PORT),
        requirePorts={"type": "boolean"},
        env={"type": "object", "additionalProperties": {"type": "string"}},
        healthChecks=_array(_HEALTH),
        upgradeStrategy=_object(minimumHealthCapacity=_SHARE, maximumOverCapacity=_SHARE),
        taskKillGracePeriodSeconds=_COUNT,
        labels={"type": "object", "additionalProperties": {"type": "string"}},
    ),
    "not": {"required": ["cmd", "args"]},
}
