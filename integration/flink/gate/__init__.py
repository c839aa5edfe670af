"""What a JobManager that is started beforehand needs to wait: a class for its JVM, and a Python program around it.

`Gate.class` is compiled from `Gate.java` (`javac --release 11 -g:none`, see tests/unit/flink/test_gate.py); it is kept
beside it because agents need no compiler, and neither does whoever installs Weir. Both files travel in the task's
environment and are written into its sandbox.
"""

from __future__ import annotations

import base64
from pathlib import Path

CLASS = "dev.weir.Gate"
NODE = "weir-gate"
"""Beside the HA data of its cluster, in ZooKeeper."""

_HERE = Path(__file__).parent
CLASS_FILE = base64.b64encode((_HERE / "Gate.class").read_bytes()).decode()
PROGRAM = (_HERE / "program.py").read_text(encoding="utf-8")


def key(restore: str | None, *, allow_non_restored_state: bool = False) -> bytes:
    """What the node holds: configuration, one entry a line (Flink's keys since 1.20)."""
    if restore is None:
        return b""
    if "\n" in restore or "\r" in restore:
        raise ValueError("a restore point has no line breaks")
    lines = [f"execution.state-recovery.path={restore}"]
    if allow_non_restored_state:
        lines.append("execution.state-recovery.ignore-unclaimed-state=true")
    return "\n".join(lines).encode()
