"""Reading `/weir/control`: requests are few and short-lived, so each read lists them anew and arms every watch.

Kazoo keeps one watch per path and callback, however often it is armed, and drops all of them with the
connection; `state.desired` announces that, and the read that follows arms them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from reconciler.model.control import RawRequest
from reconciler.model.events import DesiredChanged
from reconciler.model.record import SpecRef
from reconciler.ports import EventSink
from state.client import Calls, NoNodeError
from state.desired import DENIED


class RequestReader:
    """Reads what people ask for."""

    def __init__(self, calls: Calls, path: str) -> None:
        self._calls = calls
        self._path = path
        self._sink: EventSink | None = None

    def watch(self, sink: EventSink) -> None:
        self._sink = sink

    def unwatch(self) -> None:
        self._sink = None

    def read(self) -> Mapping[str, RawRequest]:
        """Every request by name; none when nobody has set up the folder. Raises `StoreUnavailable`."""
        watch = self._fired if self._sink is not None else None
        client = self._calls.client
        try:
            names: list[str] = self._calls.wait(
                "listing the requests", partial(client.get_children_async, self._path, watch=watch)
            )
        except NoNodeError:
            return {}
        reads = [partial(client.get_async, f"{self._path}/{name}", watch=watch) for name in names]
        answers = self._calls.gather("reading the requests", reads, denied=DENIED)
        found = {
            name: self._denied(name)
            if answer is DENIED
            else answer and RawRequest(name, SpecRef(answer[1].czxid, answer[1].version), answer[0])
            for name, answer in sorted(zip(names, answers, strict=True), key=lambda pair: pair[0])
        }
        return {name: request for name, request in found.items() if request is not None}

    def _denied(self, name: str) -> RawRequest | None:
        """A request that Weir may not read is answered like any other that it does not understand."""
        exists = partial(self._calls.client.exists_async, f"{self._path}/{name}")
        stat = self._calls.wait("looking for a request", exists)
        return stat and RawRequest(name, SpecRef(stat.czxid, stat.version), b"", unreadable=True)

    def _fired(self, event: Any) -> None:
        """Runs on kazoo's callback thread: announce it and return."""
        sink = self._sink
        if sink is not None and event.type != "NONE":
            sink(DesiredChanged())
