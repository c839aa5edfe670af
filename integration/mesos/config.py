"""Settings of the framework and of the connection to the master."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from integration.mesos.errors import MesosConfigError

WEEK_S = 7 * 24 * 3600.0
DEFAULT_FAILOVER_TIMEOUT_S = 4 * WEEK_S
MIN_FAILOVER_TIMEOUT_S = WEEK_S


@dataclass(frozen=True, slots=True)
class MesosConfig:
    """Who we are to Mesos, and how patient we are with it. Times are seconds."""

    user: str
    """The Unix user that tasks run as when they name none."""
    name: str = "weir"
    roles: tuple[str, ...] = ("*",)
    principal: str | None = None
    secret: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """For the connections with the master; None: plain HTTP."""
    hostname: str | None = None
    webui_url: str | None = None
    failover_timeout_s: float = DEFAULT_FAILOVER_TIMEOUT_S
    refuse_namesake: bool = True
    """Do not register as a new framework while one of this name has live tasks."""
    gpus: bool = False
    """Only with the capability GPU_RESOURCES does Mesos offer agents that have GPUs."""
    call_timeout_s: float = 5.0
    """For a whole call, from connecting to the last byte of its answer."""
    connect_timeout_s: float = 3.0
    subscribe_timeout_s: float = 10.0
    missed_heartbeats: int = 5
    backoff_first_s: float = 0.1
    backoff_max_s: float = 15.0
    resubscribe_after: Callable[[int, str], float | None] | None = None
    """(failures in a row, seed) -> seconds, never more than `backoff_max_s`; None: the back-off of these settings."""

    def __post_init__(self) -> None:
        if self.failover_timeout_s < MIN_FAILOVER_TIMEOUT_S:
            raise MesosConfigError(
                f"failover_timeout of {self.failover_timeout_s:g} s is refused: Mesos kills every task of a framework "
                f"that stays away longer; set at least {MIN_FAILOVER_TIMEOUT_S:g} s (one week), "
                f"the default is {DEFAULT_FAILOVER_TIMEOUT_S:g} s (four weeks)"
            )
        if not self.user:
            raise MesosConfigError("the framework needs a user, because Mesos runs tasks as one; set mesos.user")
        if not self.roles or not all(self.roles):
            raise MesosConfigError("the framework needs at least one role; set mesos.roles, for example to ['*']")
        if (self.principal is None) != (self.secret is None) and self.secret is not None:
            raise MesosConfigError("a secret without a principal cannot authenticate; set mesos.principal as well")
        if self.missed_heartbeats < 1:
            raise MesosConfigError("missed_heartbeats must be at least 1")

    def framework_info(self) -> dict[str, Any]:
        """FrameworkInfo of the v1 scheduler API.

        `checkpoint` lets tasks survive an agent restart, PARTITION_AWARE turns TASK_LOST into states
        that say what is known (Mesos docs, "High Availability Framework Guide"), MULTI_ROLE allows
        `roles` instead of `role`.
        """
        capabilities = ["PARTITION_AWARE", "MULTI_ROLE"]
        if self.gpus:
            capabilities.append("GPU_RESOURCES")
        info: dict[str, Any] = {
            "name": self.name,
            "user": self.user,
            "roles": list(self.roles),
            "checkpoint": True,
            "failover_timeout": self.failover_timeout_s,
            "capabilities": [{"type": capability} for capability in capabilities],
        }
        optional = {"principal": self.principal, "hostname": self.hostname, "webui_url": self.webui_url}
        return info | {key: value for key, value in optional.items() if value is not None}
