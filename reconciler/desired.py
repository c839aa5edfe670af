"""Reading `/weir/jobs`, and telling a delete from a desired tree that has vanished (S7).

One missing child is a delete. Held for confirmation instead: the parent missing, a parent younger
than the jobs that were in it (it was recreated), or more than max(3, 20 %) of the jobs gone in one view.
What is held stays so, whoever leads, until it is put back or a person confirms exactly that loss.

An edit of one job among many costs a look at that one: the store says which nodes were edited or are new
since the last reading. That is enough where nothing else can come of it: no job is held, and each of those
nodes is the one that its job's record knows, or belongs to no job yet. All the rest is read and looked at whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from reconciler.control import Control
from reconciler.jobs import JobEntry
from reconciler.model.control import parse_request
from reconciler.model.events import DesiredLoaded, DesiredTree, Event, ParsedSpec, RawSpec
from reconciler.model.record import Lifecycle, SpecRef
from reconciler.ports import Store, StoreError

log = structlog.get_logger("weir.desired")

MASS_COUNT = 3
MASS_FRACTION = 0.2
GO_ON = "nothing is stopped; put the jobs back"


class DesiredView:
    """What the last complete listing of the desired tree said."""

    def __init__(
        self,
        store: Store,
        parse: Callable[[RawSpec], ParsedSpec],
        submit: Callable[[str, Callable[[], Event | None]], None],
        control: Control,
    ) -> None:
        self._store = store
        self._control = control
        self._parse = parse
        self._submit = submit
        self._reading = False
        self._again = False
        self._whole = True
        """The next reading has to be."""
        self._taken = 0
        """The reading that was taken over last."""
        self._known: dict[str, SpecRef] = {}
        """Versions that are valid. Like the next two it is changed by `take` only, so a reading may look at it."""
        self._refused: dict[str, RawSpec] = {}
        self._unrecorded: set[str] = set()
        """Jobs that are there, and whose record does not know their node yet."""
        self._missing = False
        """The last view had no parent."""
        self._calm = False
        """Nothing was held when the tree was looked at whole."""
        self.loaded = False

    def read(self, *, whole: bool = False) -> None:
        """Read the tree on the pool, `whole` or what changed; a change that comes meanwhile causes one more reading."""
        self._whole |= whole
        if self._reading:
            self._again = True
            return
        after = self._taken if self._calm and not self._whole else None
        self._reading, self._whole = True, False
        self._submit("store", partial(_load, self._store, self._parse, after, self._known, self._refused))

    def take(self, event: DesiredLoaded, jobs: dict[str, JobEntry]) -> set[str]:
        """Take over a reading; the names of the jobs that it touches."""
        self._reading = False
        if event.tree is None:
            log.warning("desired.unreadable", error=event.error)
            self._whole = True
            return set()
        self._taken = event.tree.reading
        touched = self._take(event, event.tree, jobs)
        if touched is None or self._again:
            self._again = False
            self.read(whole=touched is None)
        return touched or set()

    def _take(self, event: DesiredLoaded, tree: DesiredTree, jobs: dict[str, JobEntry]) -> set[str] | None:
        """The names of the jobs that it touches; None: only the whole tree can tell."""
        if not tree.whole:
            present = {name: raw for name in self._unrecorded if (raw := jobs[name].raw) is not None}
            present |= {**self._refused, **tree.specs}
            if not all(_plain(jobs[name], raw.ref.czxid) for name, raw in present.items() if name in jobs):
                return None
            touched = self._take_present(present, event.parsed, jobs)
            self._remember(present, jobs)
            return touched
        self.loaded = True
        self._adopt_put_back(tree, jobs)
        touched = self._take_present(tree.specs, event.parsed, jobs)
        touched |= self._take_missing(tree, jobs)
        self._missing = tree.czxid is None
        self._known, self._refused, self._unrecorded = {}, {}, set()
        self._remember(tree.specs, jobs)
        self._calm = not self._missing and all(entry.held is None for entry in jobs.values())
        return touched

    def _remember(self, present: Mapping[str, RawSpec], jobs: Mapping[str, JobEntry]) -> None:
        for name, raw in present.items():
            entry = jobs[name]
            if entry.parsed is not None and entry.parsed.spec is not None:
                self._known[name] = raw.ref
                self._refused.pop(name, None)
            else:
                self._known.pop(name, None)
                self._refused[name] = raw
            if raw.ref.czxid in (_seen(entry), entry.adopted):
                self._unrecorded.discard(name)
            else:
                self._unrecorded.add(name)

    def _take_present(
        self, present: Mapping[str, RawSpec], fresh: Mapping[str, ParsedSpec], jobs: dict[str, JobEntry]
    ) -> set[str]:
        touched = set()
        for name, raw in present.items():
            entry = jobs.setdefault(name, JobEntry(name))
            parsed = _shared(fresh.get(name, entry.parsed), entry)
            if entry.parsed != parsed or entry.gone or entry.held:
                touched.add(name)
                if parsed is not None and parsed.error is not None:
                    log.warning("spec.refused", job=name, version=parsed.ref.version, error=parsed.error)
            entry.raw, entry.parsed, entry.gone, entry.held = raw, parsed, False, None
            if entry.life is not None and raw.ref.czxid not in (_seen(entry), entry.adopted):
                entry.recreated = raw.ref.czxid
            entry.vanished = entry.mark = None
        return touched

    def _adopt_put_back(self, tree: DesiredTree, jobs: Mapping[str, JobEntry]) -> None:
        """Jobs whose node is a new one. One by one they were deleted and recreated; all at once, below a

        parent that is new itself, or after having been held, they were lost and put back: that must
        not end them (S7). A parent that was out of view and is back as it was brings back what it held.
        """
        live = {name for name, entry in jobs.items() if entry.live and not _ends(entry)}
        fresh = {
            name: raw
            for name, raw in tree.specs.items()
            if name in live and _seen(jobs[name]) != raw.ref.czxid and jobs[name].adopted != raw.ref.czxid
        }
        mass = len(fresh) > _limit(live)
        for name, raw in fresh.items():
            entry = jobs[name]
            newer_parent = tree.czxid is not None and tree.czxid > _seen(entry)
            other_ensemble = raw.ref.czxid < _seen(entry)  # where one was rebuilt, zxids begin anew
            was_held = entry.held is not None or self._control.holds(name, _seen(entry))
            if mass or newer_parent or other_ensemble or (was_held and not self._missing):
                entry.adopted = raw.ref.czxid
                log.warning("desired.put_back", job=name, czxid=raw.ref.czxid)

    def _take_missing(self, tree: DesiredTree, jobs: dict[str, JobEntry]) -> set[str]:
        live = {name for name, entry in jobs.items() if entry.live}
        missing = {name for name in jobs if name not in tree.specs}
        already = {name for name in missing if jobs[name].gone or _ends(jobs[name])}
        fresh = {name for name in (missing & live) - already if not self._control.confirmed(name, _seen(jobs[name]))}
        held = _why_held(tree, fresh, live, jobs)
        touched = set()
        for name in missing:
            entry = jobs[name]
            hold = self._hold(entry, held) if name in fresh else None
            if hold is not None or self._control.confirmed(name, _seen(entry)):
                entry.vanished = _seen(entry)
            if entry.raw is not None or entry.held != hold or entry.gone == (hold is not None):
                touched.add(name)
            entry.raw, entry.parsed, entry.gone, entry.held = None, None, hold is None, hold
        if held is not None and fresh:
            log.error("desired.vanished", why=held, jobs=len(fresh))
        return touched

    def _hold(self, entry: JobEntry, held: str | None) -> str | None:
        """A hold ends by putting the job back or by a person's word, not because others were put back (S7)."""
        if held is None and self._control.holds(entry.name, _seen(entry)):
            return entry.held or f"the job vanished together with others; {GO_ON}"
        return held or entry.held


def _shared(parsed: ParsedSpec | None, entry: JobEntry) -> ParsedSpec | None:
    """What is desired is mostly what the record has already; one of the two is enough in memory."""
    spec = entry.record.spec if entry.record is not None else None
    if parsed is None or spec is None or parsed.spec is spec or parsed.spec != spec:
        return parsed
    return replace(parsed, spec=spec)


def _seen(entry: JobEntry) -> int:
    return entry.life.seen.czxid if entry.life is not None else 0


def _plain(entry: JobEntry, czxid: int) -> bool:
    """True for a node of a known life, or of none: with another one, it matters what became of all other jobs."""
    if entry.life is None or czxid in (_seen(entry), entry.adopted):
        return True
    return czxid == entry.recreated and _ends(entry)


def _limit(live: set[str]) -> int:
    """How many jobs may go, or be replaced, in one view without anybody being asked."""
    return max(MASS_COUNT, math.floor(MASS_FRACTION * len(live)))


def _ends(entry: JobEntry) -> bool:
    """This life of the name is over, whatever the tree says now: its end is on record, or was seen."""
    deleting = entry.life is not None and entry.life.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED)
    return deleting or entry.recreated > _seen(entry)


def _why_held(tree: DesiredTree, fresh: set[str], live: set[str], jobs: Mapping[str, JobEntry]) -> str | None:
    if not fresh:
        return None
    if tree.czxid is None:
        return f"the desired tree is missing; {GO_ON}"
    if any(_seen(jobs[name]) < tree.czxid for name in fresh):
        return f"the desired tree was recreated without this job; {GO_ON}"
    if len(fresh) > _limit(live):
        return f"{len(fresh)} of {len(live)} jobs vanished at once; {GO_ON}"
    return None


def _load(
    store: Store,
    parse: Callable[[RawSpec], ParsedSpec],
    after: int | None,
    known: Mapping[str, SpecRef],
    refused: Mapping[str, RawSpec],
) -> Event:
    """Refused versions are parsed again on each reading: what they named may exist by now."""
    try:
        tree, requests = store.load_jobs(after), store.load_control()
    except StoreError as error:
        return DesiredLoaded(None, error=str(error))
    specs = tree.specs if tree.whole else {**refused, **tree.specs}
    parsed = {name: parse(raw) for name, raw in specs.items() if known.get(name) != raw.ref}
    asked = {name: parse_request(raw) for name, raw in requests.items()}
    return DesiredLoaded(tree, parsed, control=asked)
