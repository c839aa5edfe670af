"""Jobs of a stack, as a user sees them: desired state in, status out, through ZooKeeper and nothing else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from pydantic import ValidationError

from integration.containers.errors import MemberFailed, SpecRefused, WaitFailed
from reconciler.model.spec_errors import SpecInvalid
from reconciler.model.spec_parse import parse_document
from reconciler.model.status import JobEvent, LeaderInfo, Status

Spec = Mapping[str, Any]

POLL_S = 0.2
STUCK = frozenset({"BLOCKED", "FAILED", "ROLLED_BACK"})
"""Where a job goes on only when a person does something."""
_REQUEST_S = 20.0


class JobClient:
    """Reads and writes the tree of one installation. Times are seconds."""

    def __init__(self, hosts: str, root: str = "/weir") -> None:
        self._hosts = hosts
        self._root = root
        self._client: KazooClient | None = None

    def close(self) -> None:
        """Ends the session."""
        if self._client is not None:
            self._client.stop()
            self._client.close()
            self._client = None

    def apply(self, spec: Spec | Path, name: str | None = None, *, check: bool = True) -> str:
        """Writes desired state and returns the job's name.

        ``spec`` is an object or a JSON or YAML file, whose name (without suffix) is the job's unless ``name`` is given.
        With ``check`` a spec that Weir would refuse is not written. Raises SpecRefused.
        """
        document = _read(spec) if isinstance(spec, Path) else dict(spec)
        name = name or (spec.stem if isinstance(spec, Path) else None)
        if name is None:
            raise SpecRefused("a spec needs a job's name", "an object has none", 'apply(spec, name="orders")')
        if check:
            try:
                parse_document(name, document)
            except SpecInvalid as error:
                raise SpecRefused(
                    f"the spec of {name} is not valid", str(error), "correct it, or check=False"
                ) from None
        self._write(f"{self._root}/jobs/{name}", json.dumps(document).encode())
        return name

    def delete(self, name: str) -> None:
        """Removes desired state; the job is ended as its ``onDelete`` says."""
        with self._asking(f"delete {name}") as client, contextlib.suppress(NoNodeError):
            client.delete_async(f"{self._root}/jobs/{name}").get(timeout=_REQUEST_S)

    def status(self, name: str) -> Status | None:
        """`/weir/status/NAME`; None when there is none, or when ZooKeeper does not answer at the moment."""
        data = self._get(f"{self._root}/status/{name}")
        try:
            return Status.model_validate_json(data) if data else None
        except ValidationError:
            return None

    def events(self, name: str) -> list[JobEvent]:
        """The job's history, oldest first."""
        data = self._get(f"{self._root}/events/{name}")
        found = json.loads(data) if data else []
        return [JobEvent.model_validate(item) for item in found]

    def leader(self) -> LeaderInfo | None:
        """The replica that leads, as it wrote it; None when nobody does."""
        data = self._get(f"{self._root}/leader/info")
        try:
            return LeaderInfo.model_validate_json(data) if data else None
        except ValidationError:
            return None

    def wait_for(self, name: str, lifecycle: str, timeout: float) -> Status:
        """Until the newest desired state is taken up and the job is in ``lifecycle``.

        Raises SpecRefused when Weir refuses it, WaitFailed when the job is stuck elsewhere or time is up.
        """
        last = "it has no status yet"

        def look() -> Status | None:
            nonlocal last
            status = self.status(name)
            if status is None:
                return None
            last = f"{status.lifecycle}: {status.error or status.why}"
            if not self._is_newest(name, status):
                last += " (of an older version of the desired state)"
                return None
            if not status.accepted:
                raise SpecRefused(f"the desired state of {name} is refused", status.error or status.why, "correct it")
            if status.lifecycle == lifecycle:
                return status
            if status.lifecycle in STUCK:
                raise WaitFailed(f"{name} will not be {lifecycle}", last, "see the replicas' logs")
            return None

        found: Status = poll(look, lambda: f"{name} is not {lifecycle}", lambda: last, timeout)
        return found

    def wait_deleted(self, name: str, timeout: float) -> None:
        """Until the job's desired state is gone and all of its tasks have ended."""
        last = "it has no status"

        def look() -> bool:
            nonlocal last
            status = self.status(name)
            last = f"{status.lifecycle}: {status.error or status.why}" if status else last
            return status is None or status.lifecycle == "DELETED"

        poll(look, lambda: f"{name} is not deleted", lambda: last, timeout)

    def _is_newest(self, name: str, status: Status) -> bool:
        try:
            with self._asking("read") as client:
                stat = client.exists_async(f"{self._root}/jobs/{name}").get(timeout=_REQUEST_S)
        except MemberFailed:
            return False
        seen = status.observed
        return stat is None or (seen is not None and (seen.czxid, seen.version) == (stat.czxid, stat.version))

    def _write(self, path: str, data: bytes) -> None:
        with self._asking(f"write {path}") as client:
            try:
                client.set_async(path, data).get(timeout=_REQUEST_S)
            except NoNodeError:
                with contextlib.suppress(NodeExistsError):
                    client.create_async(path, data, makepath=True).get(timeout=_REQUEST_S)

    def _get(self, path: str) -> bytes | None:
        try:
            with self._asking(f"read {path}") as client:
                data: bytes = client.get_async(path).get(timeout=_REQUEST_S)[0]
        except (MemberFailed, NoNodeError):
            return None
        return data

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[KazooClient]:
        """Requests with a time limit: kazoo waits for ever while it is not connected."""
        if self._client is None:
            self._client = KazooClient(
                self._hosts, timeout=10.0, connection_retry={"max_tries": -1, "delay": 0.1, "max_delay": 1.0}
            )
            self._client.start_async().wait(_REQUEST_S)
        try:
            yield self._client
        except NoNodeError:
            raise
        except (KazooException, KazooTimeoutError) as error:
            raise MemberFailed(
                f"cannot {what}", f"ZooKeeper does not answer: {error or type(error).__name__}", "are its members up?"
            ) from error


def poll(look: Callable[[], Any], what: Callable[[], str], last: Callable[[], str], timeout: float) -> Any:
    """The first true value of ``look``. Raises WaitFailed."""
    deadline = time.monotonic() + timeout
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise WaitFailed(f"{what()} after {timeout:.0f} s", last(), "see the logs of the members")
        time.sleep(POLL_S)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecRefused(f"cannot read {path}", error.strerror or str(error), "name a JSON or YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecRefused(f"{path} is neither JSON nor YAML", " ".join(str(error).split()), "correct it") from None
    if not isinstance(found, dict):
        raise SpecRefused(f"{path} holds no object", f"it is {type(found).__name__}", "it begins with flinkVersion:")
    return found
