"""What can go wrong with the local stack, as one tree of exceptions.

    LocalStackError
    ├── MissingRequirement   Java, a compiler or a system package is not there and cannot be installed
    ├── NotEnoughDisk        less free space than the artefacts need
    ├── ArtefactError        a download failed, or its digest is not the expected one
    ├── PortTaken            a port of the stack is held by a process that is not ours
    ├── ServiceFailed        a service died or did not become ready in time
    ├── UnknownService       no service (or host) of that name
    ├── UnknownTask          no task of that id runs on its agents
    ├── NotRunning           the stack (or its supervisor) is not up
    └── ConfigConflict       the running stack was started with other settings

Each error says what was refused, why, and the next command to run; the command line prints it as one line.
"""

from __future__ import annotations

from collections.abc import Mapping

from integration.errors import Told


class LocalStackError(Told):
    """Base of all errors that a person using the local stack can act on."""

    def to_wire(self) -> dict[str, str]:
        """The error as JSON for the supervisor's socket."""
        return {"type": type(self).__name__, "what": self.what, "why": self.why, "next": self.next}


class MissingRequirement(LocalStackError):
    """Something the operating system has to provide is missing."""


class NotEnoughDisk(LocalStackError):
    """The file system has too little free space."""


class ArtefactError(LocalStackError):
    """A download failed or is not what it should be."""


class PortTaken(LocalStackError):
    """A port that the stack needs is in use."""


class ServiceFailed(LocalStackError):
    """A service died or did not become ready."""


class UnknownService(LocalStackError):
    """There is no service of that name."""


class UnknownTask(LocalStackError):
    """No task of that id runs."""


class NotRunning(LocalStackError):
    """The stack is not up."""


class ConfigConflict(LocalStackError):
    """The running stack has other settings than the ones asked for."""


_BY_NAME: dict[str, type[LocalStackError]] = {
    cls.__name__: cls
    for cls in (
        MissingRequirement,
        NotEnoughDisk,
        ArtefactError,
        PortTaken,
        ServiceFailed,
        UnknownService,
        UnknownTask,
        NotRunning,
        ConfigConflict,
    )
}


def from_wire(data: Mapping[str, str]) -> LocalStackError:
    """The error that the supervisor answered with."""
    cls = _BY_NAME.get(data.get("type", ""), LocalStackError)
    return cls(data.get("what", "the supervisor refused"), data.get("why", "unknown"), data.get("next", ""))
