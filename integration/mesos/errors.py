"""What the Mesos adapter raises.

reconciler.ports.PortError
├── ClusterUnavailable       not subscribed, or the call was certainly not applied
│   └── AcceptUnclear        an ACCEPT was sent and not answered: reconcile its tasks, never repeat it
└── CallRefused              the master answered that this call is wrong; repeating it changes nothing
ValueError
├── MasterAddressError       the configured master cannot be understood
└── MesosConfigError         a setting that would endanger tasks
"""

from __future__ import annotations

from reconciler.ports import ClusterUnavailable, PortError


class AcceptUnclear(ClusterUnavailable):
    """The master may or may not have launched the tasks; only reconciliation can tell (S4)."""


class CallRefused(PortError):
    """The master refused a call with an HTTP error of its own."""

    def __init__(self, call: str, status: int, answer: str) -> None:
        super().__init__(f"the master refused {call} with HTTP {status}: {answer.strip()[:500] or 'no reason given'}")
        self.call = call
        self.status = status


class MasterAddressError(ValueError):
    """The address of the master is not `zk://…/path` and not a list of `host:port`."""


class MesosConfigError(ValueError):
    """A framework setting that Weir refuses to run with."""
