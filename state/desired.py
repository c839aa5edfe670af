"""Reading the desired tree, and noticing that it changed, at the price of what changed.

One callback serves every watch. A read of the tree arms what is not armed: the list of children,
and the data of each child that is new or has fired. A child whose watch is armed and silent has not
changed (ZooKeeper delivers the event before any client of the session sees the new data), so only
the others are read again: ten thousand jobs cost one call when one of them changes. Nobody has to
trust that for long: every `READ_AGAIN_S` seconds children are read again, watch or no watch, in turn and as
many as `READ_AGAIN_PER_S` allows: all of them up to 1,200, of ten thousand each in some eight minutes (fault 15).

Who names the reading that it has taken over is told of edits and new names only. Then not even the
children are listed unless that watch has fired, and nothing here looks at every job. Anything else
is answered with the whole tree: a node that is gone or was created again, another parent, another
connection, a reading that failed in between.

Kazoo drops every watch when the connection is lost and arms none again, so each connection starts
with an empty memory and the change is announced as soon as it stands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from reconciler.model.events import DesiredChanged, DesiredTree, RawSpec
from reconciler.model.record import SpecRef
from reconciler.model.turns import in_turn
from reconciler.ports import EventSink, StoreError
from state.client import Calls, KazooState, NoNodeError

_log = structlog.get_logger(__name__)

READ_AGAIN_S = 60.0
READ_AGAIN_PER_S = 20.0
"""A read costs 0.1 to 0.2 ms of CPU; reading ten thousand every minute would take a fortieth of a core, for ever."""
DENIED = object()


class _Armed:
    """What one connection's watches guard."""

    def __init__(self, path: str, changed: Callable[[_Armed], None]) -> None:
        self.specs: dict[str, RawSpec] = {}
        self.czxid: int | None = None
        self.read_at: float | None = None
        self.last_again = ""
        """The child that was read again last."""
        self.reading = 0
        """The reading that was answered last; 0 while one is under way or has failed."""
        self._path = path
        self._changed = changed
        self._fired: set[str] = set()
        self._listed = False
        self._lock = threading.Lock()

    def fired(self, event: Any) -> None:
        """Runs on kazoo's callback thread: note it, announce it, and return."""
        if event.type == "NONE":
            return  # the connection is lost; the next one starts anew
        with self._lock:
            if event.path == self._path:
                self._listed = False
            else:
                self._fired.add(event.path.rsplit("/", 1)[-1])
        self._changed(self)

    def listing(self) -> None:
        """Before the children are listed, which arms their watch."""
        with self._lock:
            self._listed = True

    def listed(self) -> bool:
        """True while no child came or went since they were listed."""
        with self._lock:
            return self._listed

    def news(self) -> set[str]:
        """The children that have to be read again."""
        with self._lock:
            return set(self._fired)

    def arming(self, name: str) -> None:
        """Before the read that arms a watch: whatever fires from now on is news."""
        with self._lock:
            self._fired.discard(name)

    def stale(self, name: str) -> bool:
        with self._lock:
            return name not in self.specs or name in self._fired

    def again(self, name: str) -> None:
        """Read it next time, whether it fires or not."""
        with self._lock:
            self._fired.add(name)

    def keep(self, names: set[str]) -> None:
        """Forget children that are gone."""
        for gone in self.specs.keys() - names:
            del self.specs[gone]
        with self._lock:
            self._fired &= names


class DesiredReader:
    """Reads `/weir/jobs`; thread-safe, one read at a time."""

    def __init__(self, calls: Calls, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._path = path
        self._clock = clock
        self._reading = threading.Lock()
        self._sink: EventSink | None = None
        self._armed: _Armed | None = None
        self._readings = 0

    def watch(self, sink: EventSink) -> None:
        """Announce changes to `sink`; the first announcement is immediate and makes the caller read."""
        self.unwatch()
        self._sink = sink
        self._armed = _Armed(self._path, self._changed)
        self._calls.client.add_listener(self._on_state)
        sink(DesiredChanged())

    def unwatch(self) -> None:
        self._calls.client.remove_listener(self._on_state)
        self._sink = self._armed = None

    def read(self, after: int | None = None) -> DesiredTree:
        """The whole tree, or what changed since the reading `after` (`reconciler.ports.Store.load_jobs`).

        Raises `StoreUnavailable` rather than answering with a part of it.
        """
        with self._reading:
            armed = self._armed or _Armed(self._path, lambda _: None)
            watch = armed.fired if armed is self._armed else None
            now = self._clock()
            again = armed.read_at is None or now - armed.read_at >= READ_AGAIN_S
            plain = bool(after) and armed.reading == after and armed.czxid is not None and not again
            armed.reading = 0  # what a reading that fails has seen is not handed over
            tree = self._changes(armed, watch) if plain else None
            tree = tree or self._whole(armed, watch, now)
            self._readings += 1
            armed.reading = self._readings
            return replace(tree, reading=self._readings)

    def _changes(self, armed: _Armed, watch: Callable[[Any], None] | None) -> DesiredTree | None:
        """Edits and new names; None when there is more to tell."""
        names = armed.news()
        if not armed.listed():
            listing = self._list(armed, watch)
            if listing is None or listing[1].czxid != armed.czxid:
                return None
            children = set(listing[0])
            if not armed.specs.keys() <= children:
                return None
            names = (names & children) | (children - armed.specs.keys())
        before = {name: armed.specs.get(name) for name in sorted(names)}
        self._read_children(armed, list(before), watch)
        for name, old in before.items():
            new = armed.specs.get(name)
            if new is None or (old is not None and old.ref.czxid != new.ref.czxid):
                return None
        return DesiredTree(armed.czxid, {name: armed.specs[name] for name in before}, whole=False)

    def _whole(self, armed: _Armed, watch: Callable[[Any], None] | None, now: float) -> DesiredTree:
        listing = self._list(armed, watch)
        if listing is None:
            armed.keep(set())
            armed.czxid = None
            return DesiredTree(None)
        children, stat = listing
        again = self._read_again(armed, children, stat.czxid, now)
        known = set(children).difference(again or ())
        armed.keep(set(children))
        self._read_children(armed, [name for name in children if name not in known or armed.stale(name)], watch)
        armed.czxid = stat.czxid
        if again is not None:
            armed.read_at, armed.last_again = now, again[-1] if again else ""
        return DesiredTree(stat.czxid, {name: armed.specs[name] for name in sorted(armed.specs)})

    def _read_again(self, armed: _Armed, children: list[str], czxid: int, now: float) -> list[str] | None:
        """Children that are read although their watches are silent, in order; None while it is not time for that."""
        if armed.read_at is None or armed.czxid != czxid:
            return sorted(children)
        passed = now - armed.read_at
        return in_turn(children, armed.last_again, int(passed * READ_AGAIN_PER_S)) if passed >= READ_AGAIN_S else None

    def _list(self, armed: _Armed, watch: Callable[[Any], None] | None) -> tuple[list[str], Any] | None:
        client = self._calls.client
        while True:
            armed.listing()
            try:
                listing: tuple[list[str], Any] = self._calls.wait(
                    "listing the desired tree",
                    partial(client.get_children_async, self._path, watch=watch, include_data=True),
                )
            except NoNodeError:
                # A watch of children cannot be set on a missing node; this one fires when it is created.
                exists = partial(client.exists_async, self._path, watch=watch)
                if self._calls.wait("looking for the desired tree", exists) is None:
                    return None
            else:
                return listing

    def _read_children(self, armed: _Armed, names: list[str], watch: Callable[[Any], None] | None) -> None:
        def start(name: str) -> Any:
            armed.arming(name)
            return self._calls.client.get_async(f"{self._path}/{name}", watch=watch)

        try:
            answers = self._calls.gather(
                "reading the desired tree", [partial(start, name) for name in names], denied=DENIED
            )
            for name, answer in zip(names, answers, strict=True):
                self._take(armed, name, answer)
        except StoreError:
            for name in names:  # a watch that is armed by now stays silent about what was not taken over
                armed.again(name)
            raise

    def _take(self, armed: _Armed, name: str, answer: Any) -> None:
        if answer is DENIED:
            answer = self._denied(armed, name)
        if answer is None:  # deleted since it was listed
            armed.specs.pop(name, None)
        elif isinstance(answer, RawSpec):
            armed.specs[name] = answer
        else:
            data, stat = answer
            armed.specs[name] = RawSpec(name, SpecRef(stat.czxid, stat.version), data)

    def _denied(self, armed: _Armed, name: str) -> RawSpec | None:
        """A job that Weir may not read is there all the same; every other job goes on.

        Its existence may always be asked (ZooKeeper Programmer's Guide, "ACL Permissions"). A change of ACLs
        fires no watch, so it is looked at again with the next reading.
        """
        exists = partial(self._calls.client.exists_async, f"{self._path}/{name}")
        stat = self._calls.wait("looking for a job", exists)
        if stat is None:
            return None
        armed.again(name)
        return RawSpec(name, SpecRef(stat.czxid, stat.version), b"", unreadable=True)

    def _changed(self, armed: _Armed) -> None:
        sink = self._sink
        if sink is not None and armed is self._armed:
            sink(DesiredChanged())

    def _on_state(self, state: str) -> None:
        """Runs on kazoo's connection thread, which must not wait for anything."""
        if state == KazooState.CONNECTED and self._sink is not None:
            _log.info("store.watches_renewed", path=self._path)
            self._armed = _Armed(self._path, self._changed)
            self._changed(self._armed)
