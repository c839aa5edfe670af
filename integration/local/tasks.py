"""The JobManagers and TaskManagers that run on a stack, found and killed by the ids of their Mesos tasks."""

from __future__ import annotations

import contextlib
import os
import signal
from fnmatch import fnmatchcase
from pathlib import Path

from integration.local.config import Layout
from integration.local.errors import UnknownTask
from integration.local.processes import environment_of, of_sandboxes


def running(layout: Layout) -> dict[str, list[int]]:
    """Pids of the JVMs by task id. An executor is another process, which lives to tell of their end."""
    found: dict[str, list[int]] = {}
    for number in range(1, layout.config.agents + 1):
        for pid in sorted(of_sandboxes(layout.agent_dir(number))):
            task = environment_of(pid).get("MESOS_TASK_ID")
            if task and _program(pid) == "java":
                found.setdefault(task, []).append(pid)
    return found


def kill(layout: Layout, pattern: str) -> list[str]:
    """SIGKILL to the JVMs of the tasks whose id is `pattern`, or fits it (`*`, `?`); their ids. Raises UnknownTask."""
    tasks = running(layout)
    chosen = [task for task in sorted(tasks) if fnmatchcase(task, pattern)]
    if not chosen:
        raise UnknownTask(
            f"no task {pattern}", f"running: {', '.join(sorted(tasks)) or 'none'}", "see them: weir describe NAME"
        )
    for task in chosen:
        for pid in tasks[task]:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
    return chosen


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""
