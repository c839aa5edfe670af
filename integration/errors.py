"""What every error of this package says to the person who meets it."""

from __future__ import annotations


class Told(Exception):
    """``what`` was refused, ``why``, and ``next`` is the command to run or the thing to change.

    ``next`` may be empty when there is nothing to do but to read the log that ``why`` names.
    """

    def __init__(self, what: str, why: str, next: str = "") -> None:  # noqa: A002 - the field's natural name
        super().__init__(what, why, next)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}"
        return f"{text}; {self.next}" if self.next else text
