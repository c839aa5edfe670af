"""What differs between the Flink versions that Weir runs, in one table.

Everything else in this package is written against the common part. Sources: release notes of 2.0
(FLIP-472 renamed the adaptive scheduler's keys), "High Availability" and "Configuration" in the
documentation of each version, and the HA data that running processes left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_ADAPTIVE = "jobmanager.adaptive-scheduler"


@dataclass(frozen=True, slots=True)
class FlinkVersion:
    """One minor version. `series` is how a spec names it ("2.2")."""

    series: str
    graphs_node: str
    """Child of the cluster's HA node that holds the submitted job."""
    application_results: bool
    """The version keeps results of applications beside those of jobs."""
    scheduler: Mapping[str, str] = field(default_factory=dict)
    """Defaults of the adaptive scheduler; a user may override them."""
    owned: Mapping[str, str] = field(default_factory=dict)
    """Keys of this version that the operator decides."""
    blobs_on_localhost: bool = False
    """The program's own client uploads to the blob server at "localhost", whatever its address is."""


# Ten minutes without resources is a full cluster, not a failed job: Weir says what is missing, so
# Flink itself never gives up waiting. A negative duration does not parse from text, a year does.
_FOREVER = "365 d"

_SCHEDULER_1 = {
    f"{_ADAPTIVE}.resource-wait-timeout": _FOREVER,
    f"{_ADAPTIVE}.resource-stabilization-timeout": "10 s",
    f"{_ADAPTIVE}.scaling-interval.min": "1 s",
    f"{_ADAPTIVE}.scaling-interval.max": "5 s",
}
_SCHEDULER_2 = {
    f"{_ADAPTIVE}.submission.resource-wait-timeout": _FOREVER,
    f"{_ADAPTIVE}.submission.resource-stabilization-timeout": "10 s",
    f"{_ADAPTIVE}.executing.cooldown-after-rescaling": "1 s",
    f"{_ADAPTIVE}.executing.resource-stabilization-timeout": "1 s",
}

VERSIONS: Mapping[str, FlinkVersion] = {
    "1.20": FlinkVersion(
        "1.20", "jobgraphs", application_results=False, scheduler=_SCHEDULER_1, blobs_on_localhost=True
    ),
    "2.2": FlinkVersion("2.2", "execution-plans", application_results=False, scheduler=_SCHEDULER_2),
    "2.3": FlinkVersion(
        "2.3",
        "execution-plans",
        application_results=True,
        scheduler=_SCHEDULER_2,
        owned={"application-result-store.delete-on-commit": "false"},
    ),
}


def series_of(version: str) -> str:
    """ "2.2" of "2.2" or "2.2.1"."""
    return ".".join(version.split(".")[:2])


def flink_version(version: str) -> FlinkVersion:
    """The entry for "2.2" or "2.2.1"; ValueError names the versions there are."""
    found = VERSIONS.get(series_of(version))
    if found is None:
        raise ValueError(f"Flink {version} is not supported; flinkVersion can be one of {', '.join(VERSIONS)}")
    return found
