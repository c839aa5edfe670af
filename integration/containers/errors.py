"""What can go wrong with a stack of containers, as one tree of exceptions.

    ContainersError
    ├── EngineUnavailable   no container engine answers, or it cannot be installed or started
    ├── ImageFailed         an image cannot be found, pulled or built
    ├── MemberFailed        a container does not start, ended, or did not become ready in time
    ├── UnknownMember       no member of that name
    ├── SpecRefused         Weir refuses the newest desired state of a job
    └── WaitFailed          a job did not become what was waited for

Each says what was refused, why, and what to do next.
"""

from __future__ import annotations

from integration.errors import Told


class ContainersError(Told):
    """Base of all errors that somebody who writes a suite can act on."""


class EngineUnavailable(ContainersError):
    """There is no container engine to work with."""


class ImageFailed(ContainersError):
    """An image cannot be had."""


class MemberFailed(ContainersError):
    """A container does not do what it is there for."""


class UnknownMember(ContainersError):
    """The stack has no such member."""


class SpecRefused(ContainersError):
    """Weir refuses the desired state; the message names the field."""


class WaitFailed(ContainersError):
    """A job did not become what was waited for."""
