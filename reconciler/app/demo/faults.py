"""What the demo and the tests do to a running job, each said by what it kills."""

from __future__ import annotations

import os
import signal

from integration.local import tasks
from reconciler.app.demo.harness import Installation
from reconciler.app.demo.story import DemoFailed


def processes_of(installation: Installation, task_id: str) -> list[int]:
    """The JVMs of a Mesos task."""
    return tasks.running(installation.stack.layout).get(task_id, [])


def kill_task(installation: Installation, task_id: str) -> list[int]:
    """SIGKILL to the JVM of a task; the pids. Raises DemoFailed when there is none."""
    pids = processes_of(installation, task_id)
    if not pids:
        raise DemoFailed(f"no process of the task {task_id} was found")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def host_of(agent: str) -> str:
    """ "host-2" for the host name "agent-2", as the local stack calls an agent with all that it runs."""
    return agent.replace("agent-", "host-")
