"""pymesos' scheduler driver, with what it gets wrong put right.

A subclass, not a fork: the parent builds the calls, parses the stream and dispatches events; the I/O
loop, sending, and everything about losing the master are ours. What the parent would do:

- any exception in a callback, and `abort`, send TEARDOWN, which kills every task. Nothing here sends
  TEARDOWN, and `_send` refuses to;
- a silent master is never noticed, a refusing one is asked thousands of times a second;
- a call while disconnected answers None, one on a stale connection is lost;
- "Framework failed over" is ignored, so that two schedulers steal the framework from each other;
- `reconcileTasks` and `killTask` drop the agent id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from threading import current_thread
from typing import Any

import structlog

from integration.mesos import namesake
from integration.mesos.channel import NoAnswer, NotSent
from integration.mesos.config import MesosConfig
from integration.mesos.convert import kill_policy
from integration.mesos.detector import MasterDetector
from integration.mesos.errors import AcceptUnclear, CallRefused
from integration.mesos.library import Process
from integration.mesos.stream import DEFAULT_HEARTBEAT_S, Listener, Stream, StreamLoop
from reconciler.ports import ClusterUnavailable

log = structlog.get_logger(__name__)

PATH = "/api/v1/scheduler"


class SchedulerDriver(StreamLoop):
    """One subscription life: from `start` to `stop`, displacement or removal. Not started twice."""

    def __init__(
        self,
        config: MesosConfig,
        framework_id: str | None,
        callbacks: Any,
        listener: Listener,
        detector: MasterDetector,
        may_subscribe: Callable[[], bool],
    ) -> None:
        info = config.framework_info()
        if framework_id is not None:
            info["id"] = {"value": framework_id}
        super().__init__(config, info, callbacks, listener, detector, may_subscribe)
        self._suppressed = False

    # Life

    def start(self) -> None:
        Process.start(self)
        self._masters.start(self.master_detected)

    def stop(self, failover: bool = True) -> None:  # noqa: ARG002  (pymesos' signature; never a teardown)
        """Leave; tasks go on running. Returns within about two seconds even when the master hangs."""
        super().stop(failover=True)
        self._channel.close()
        self._masters.stop()
        thread = self._io_thread
        if thread is not None and thread is not current_thread():
            thread.join(timeout=2.0)
        self._subscribed = False

    def abort(self) -> None:
        self.stop()

    def _shutdown(self) -> None:
        """The parent tears the framework down here."""

    def _teardown(self) -> None:
        """The parent sends TEARDOWN here."""

    @property
    def framework(self) -> dict[str, Any]:
        """FrameworkInfo as configured; the parent forces GPU_RESOURCES on and a short failover_timeout."""
        return dict(self._framework)

    @property
    def connected(self) -> bool:
        """The parent's calls silently do nothing when this is False; `_send` raises instead."""
        return True

    def _session(self, stream: Stream, master: str, wake: int) -> str:
        """Before it becomes a new framework, a replica makes sure that it is none already (fault 65)."""
        if "id" not in self._framework and self._config.refuse_namesake:
            name, timeout = self._config.name, self._config.call_timeout_s
            found = namesake.find(master, name, self._basic_credential, timeout, tls=self._config.tls)
            if found is not None:
                self._end("refused: " + found, self._listener.namesake, found)
                return found
        return super()._session(stream, master, wake)

    # Events

    def process_event(self, event: Any) -> None:
        """Dispatch one event; nothing that it raises ends the stream (fault 23)."""
        if not self._started or self._ended is not None:
            return
        try:
            self.on_event(event)
        except Exception:
            log.exception("mesos.event_failed", type=event.get("type") if isinstance(event, dict) else None)

    def on_subscribed(self, info: dict[str, Any]) -> None:
        self._heartbeat_s = float(info.get("heartbeat_interval_seconds") or DEFAULT_HEARTBEAT_S)
        self.framework_id = info["framework_id"]["value"]
        self._subscribed = True
        self._last_why = None
        self._redirects = 0
        log.info("mesos.subscribed", master=self.master, framework_id=info["framework_id"]["value"])
        super().on_subscribed(info)

    def on_heartbeat(self) -> None:
        """The read itself has moved the watchdog's deadline."""

    def on_close(self) -> None:
        """`_leave` does what is needed."""

    def on_error(self, event: dict[str, Any]) -> None:
        """An ERROR event ends the subscription (Mesos docs, "Scheduler HTTP API")."""
        message = str(event.get("message", ""))
        log.error("mesos.error_event", message=message)
        lowered = message.lower()
        if "failed over" in lowered:
            self._end("displaced: " + message, self._listener.displaced)
        elif "has been removed" in lowered or "completed framework" in lowered:
            self._end("removed: " + message, self._listener.removed, message)
        else:
            self._refusal = f"the master refused the subscription: {message}"
            self.resubscribe(self._refusal)

    def _end(self, why: str, tell: Callable[..., None], *args: object) -> None:
        """Stop for good; nothing is subscribed again by this driver (faults 25, 35)."""
        with self._lock:
            if self._ended is not None:
                return
            self._ended = why
        self._subscribed = False
        self._tell(tell, *args)
        self._channel.close()
        self._notify()

    def resubscribe(self, why: str) -> None:
        """Close the stream and subscribe again; from any thread."""
        with self._lock:
            self._resubscribe_why = why
        self._notify()

    # Calls

    def gen_request(self) -> bytes:
        """The SUBSCRIBE request. Suppressed roles stay suppressed over a re-subscription."""
        subscribe: dict[str, Any] = {"framework_info": self.framework}
        if self._suppressed:
            subscribe["suppressed_roles"] = list(self._config.roles)
        body: dict[str, Any] = {"type": "SUBSCRIBE", "subscribe": subscribe}
        if "id" in self._framework:
            body["framework_id"] = self._framework["id"]
        return self._request(body, None)

    def _request(self, body: dict[str, Any], stream_id: str | None) -> bytes:
        data = json.dumps(body).encode()
        lines = [
            f"POST {PATH} HTTP/1.1", f"Host: {self.master}", "Content-Type: application/json",
            "Accept: application/json", f"Content-Length: {len(data)}",
        ]  # fmt: skip
        if stream_id is not None:
            lines.append(f"Mesos-Stream-Id: {stream_id}")
        if self._basic_credential:
            lines.append(f"Authorization: {self._basic_credential}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + data

    def require(self) -> tuple[str, str]:
        """(master, stream id) of the live subscription, or `ClusterUnavailable`."""
        with self._lock:
            if self._ended is not None:
                raise ClusterUnavailable(f"nothing was sent: the framework was {self._ended}")
            master, stream_id = self._master, self._stream_id
        if not self._started or not self._subscribed or master is None or stream_id is None:
            raise ClusterUnavailable(f"nothing was sent: not subscribed ({self._last_why or 'no master yet'})")
        return master, stream_id

    def _send(self, body: dict[str, Any], path: str = PATH, method: str = "POST", headers: Any = None) -> Any:  # noqa: ARG002
        """Send one call. Idempotent calls are repeated once when a reused connection turned out dead."""
        call = str(body["type"])
        if call == "TEARDOWN":
            raise RuntimeError("TEARDOWN kills every task and is never sent from here")
        master, stream_id = self.require()
        request = self._request(body, stream_id)
        timeout = self._config.call_timeout_s
        # ACCEPT is never repeated, so it does not bet on a connection that may have gone stale.
        fresh = call == "ACCEPT"
        try:
            try:
                answer = self._channel.exchange(master, request, timeout, fresh)
            except NoAnswer as error:
                if fresh or error.timed_out or not error.reused:
                    raise
                answer = self._channel.exchange(master, request, timeout, fresh=True)
        except NotSent as error:
            raise ClusterUnavailable(f"{call} was not sent: {error}") from error
        except NoAnswer as error:
            if call == "ACCEPT":
                raise AcceptUnclear(f"{call} was sent and not answered: {error}") from error
            raise ClusterUnavailable(f"{call} was not answered: {error}") from error
        if not 200 <= answer.status < 300:
            self._refused(call, stream_id, answer.status, answer.body)
        return {}

    def _refused(self, call: str, stream_id: str, status: int, text: str) -> None:
        lowered = text.lower()
        log.warning("mesos.call_refused", call=call, status=status, answer=text[:500])
        if status == 400 and "stream id" in lowered and "match" in lowered:
            # Another scheduler has subscribed with our framework id and its news have not reached us.
            if self.stream_id == stream_id:
                self._end("displaced: " + text, self._listener.displaced)
            raise ClusterUnavailable(f"{call} was refused: {text}")
        if status in (307, 503) or "not subscribed" in lowered or "framework cannot be found" in lowered:
            self.resubscribe(f"{call} was answered by HTTP {status}: {text[:200] or 'the master does not lead'}")
            raise ClusterUnavailable(f"{call} was refused with HTTP {status}: {text[:200]}")
        raise CallRefused(call, status, text)

    def suppressOffers(self, roles: Sequence[str] = ()) -> None:  # noqa: N802  (pymesos' name)
        self._suppressed = True
        super().suppressOffers(roles)

    def reviveOffers(self, roles: Sequence[str] = ()) -> None:  # noqa: N802
        self._suppressed = False
        super().reviveOffers(roles)

    def answer_inverse_offers(self, call: str, offer_ids: Sequence[str], refuse_seconds: float) -> None:
        """ACCEPT_INVERSE_OFFERS or DECLINE_INVERSE_OFFERS; the parent has only the first of them."""
        said = {
            "inverse_offer_ids": [{"value": offer_id} for offer_id in offer_ids],
            "filters": {"refuse_seconds": float(refuse_seconds)},
        }
        self._send({"type": call, "framework_id": {"value": self.framework_id}, call.lower(): said})

    def killTask(self, task_id: str, agent_id: str | None = None, grace_s: float | None = None) -> None:  # noqa: N802
        """KILL with the agent id, without which a task of an unknown agent cannot be killed, and a grace time."""
        kill: dict[str, Any] = {"task_id": {"value": task_id}}
        if agent_id is not None:
            kill["agent_id"] = {"value": agent_id}
        if grace_s is not None:
            kill["kill_policy"] = kill_policy(grace_s)
        self._send({"type": "KILL", "framework_id": {"value": self.framework_id}, "kill": kill})

    def reconcileTasks(self, tasks: Sequence[tuple[str, str | None]]) -> None:  # noqa: N802
        """RECONCILE with agent ids: without them a task of an unreachable agent comes back UNKNOWN."""
        entries = [
            {"task_id": {"value": task_id}, **({"agent_id": {"value": agent_id}} if agent_id else {})}
            for task_id, agent_id in tasks
        ]
        self._send({"type": "RECONCILE", "framework_id": {"value": self.framework_id}, "reconcile": {"tasks": entries}})
