"""What the command line ends with when it does not end well, and with which exit code."""

from __future__ import annotations

from collections.abc import Sequence

import click

FAILED, USAGE, NOT_FOUND, TIMED_OUT, NO_ZOOKEEPER, INTERRUPTED = 1, 2, 3, 4, 5, 130


class Problem(click.ClickException):
    """A failure that a person can act on: what was refused, why, and the next command."""

    def __init__(self, message: str | Sequence[str], exit_code: int = FAILED) -> None:
        texts = [message] if isinstance(message, str) else list(message)
        self.lines = [one_line(text) for text in texts]
        super().__init__(self.lines[0])
        self.code = exit_code


def one_line(text: str) -> str:
    """Without control characters: what a message repeats may be anybody's text."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))


def explain(error: BaseException) -> Problem:
    """The line for an error that no command has handled. Imports here keep `weir --help` fast."""
    from integration.mesos.sandbox import NoSandbox
    from reconciler.app.config import ConfigError
    from reconciler.leadership import Halted
    from reconciler.model.spec_errors import SpecInvalid
    from reconciler.ports import SchemaTooNew, StoreError, StoreUnavailable

    if isinstance(error, StoreUnavailable):
        return Problem(f"ZooKeeper does not answer: {error}; try again, or name another with --zk", NO_ZOOKEEPER)
    if isinstance(error, SchemaTooNew):
        return Problem(f"{error}; install the newer version of weir")
    if isinstance(error, NoSandbox):
        return Problem(f"{error}; the agent keeps sandboxes for a while only, in its work directory")
    if isinstance(error, ConfigError):
        return Problem(error.lines, USAGE)
    if isinstance(error, Halted):
        return Problem(f"stopped before doing harm: {error}")
    if isinstance(error, SpecInvalid):
        return Problem([each.sentence() for each in error.errors])
    if isinstance(error, StoreError):
        return Problem(f"ZooKeeper refused: {error}")
    if isinstance(error, OSError) and error.filename is not None:
        return Problem(f"{error.filename}: {error.strerror or error}")
    if isinstance(error, OSError) and error.strerror is not None:
        return Problem(f"this machine refused: {error.strerror}")
    return Problem(
        f"unexpected {type(error).__name__}: {error or 'no message'}; this is a mistake in weir, "
        "please report it with the output of the same command under WEIR_DEBUG=1"
    )
