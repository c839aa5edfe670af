"""What a person needs when something did not come: the job's own words, and where the logs are."""

from __future__ import annotations

from rich.console import Console

from integration.local.errors import LocalStackError
from reconciler.app.demo.harness import Installation, JobView
from reconciler.app.demo.story import DemoFailed
from reconciler.ports import StoreError

_EVENTS, _SANDBOXES = 12, 6


def failure(installation: Installation, job: str, error: Exception, console: Console) -> None:
    """Print everything that is known. Never raises: the reason that is reported must be the first one."""
    for line in [f"failed: {error}", *lines(installation, job)]:
        console.print(line, markup=False, soft_wrap=True)


def lines(installation: Installation, job: str) -> list[str]:
    """The status znode, why the job waits, its last events, services that are down, and paths of logs."""
    view = JobView(installation, job)
    status = view.status()
    found = [f"why: {view.why()}", f"{installation.root}/status/{job}:"]
    found.append(status.model_dump_json(by_alias=True, indent=1) if status else "(there is none)")
    try:
        events = installation.store.load_events(job)[-_EVENTS:]
    except StoreError as silent:
        events = ()
        found.append(f"no events: {silent}")
    found += [f"event {event.time} {event.code}: {event.message}" for event in events]
    try:
        services = installation.stack.status()
    except (LocalStackError, DemoFailed) as down:
        services = []
        found.append(f"no services: {down}")
    found += [f"service {service.name} is {service.state}" for service in services if service.state != "running"]
    found.append(f"logs of replicas, masters and agents: {installation.stack.state_dir / 'logs'}")
    for sandbox in view.sandboxes()[-_SANDBOXES:]:
        found.append(f"sandbox of {sandbox.parents[1].name}: {sandbox}")
    return found
