"""Which events a notification plugin passes on: settings that all of ours share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.model.notification import Settings
from reconciler.model.status import JobEvent

SHARED = ("only", "jobs", "codes")


@dataclass(frozen=True, slots=True)
class Choice:
    """`only`: `all` or `warnings`. `jobs`, `codes`: names with `*`, separated by commas."""

    warnings_only: bool = False
    jobs: tuple[str, ...] = ("*",)
    codes: tuple[str, ...] = ("*",)

    @classmethod
    def of(cls, settings: Settings, others: Iterable[str]) -> Choice:
        """Read the shared settings; one that is neither shared nor among `others` is refused (ValueError)."""
        known = (*others, *SHARED)
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ValueError(f"there is no setting {unknown[0]}; there are: {', '.join(known)}")
        only = settings.get("only", "all")
        if only not in ("all", "warnings"):
            raise ValueError(f'only is "all" or "warnings", not "{only}"')
        return cls(only == "warnings", _names(settings.get("jobs", "*")), _names(settings.get("codes", "*")))

    def takes(self, job: str, event: JobEvent) -> bool:
        if self.warnings_only and not event.warning:
            return False
        return any(fnmatchcase(job, each) for each in self.jobs) and any(
            fnmatchcase(event.code, each) for each in self.codes
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
