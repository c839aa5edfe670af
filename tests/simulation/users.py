"""The people of a simulated installation: what they write into the desired tree, and what they may expect.

Users use the shipped `JobWriter` on a session of their own, or change the tree as `zkCli.sh` would.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from reconciler.model import ids
from reconciler.model.control import GLOBAL
from reconciler.model.events import RawSpec
from reconciler.model.record import Lifecycle, SpecRef
from reconciler.model.spec import JobSpec
from state.codec import decode_operator
from state.memory import OPERATOR, MemoryStore, Node

if TYPE_CHECKING:
    from tests.simulation.world import World

BASE: dict[str, Any] = {
    "flinkVersion": "2.2",
    "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
    "job": {"type": "python", "uri": "file:///srv/job.py", "parallelism": 2, "upgradeMode": "savepoint"},
    "taskManager": {"slots": 1},
    "health": {"stableAfter": "3s", "launchTimeout": "15s"},
    "restart": {"initialBackoff": "1s", "maxBackoff": "4s"},
}
PRESTARTED = {**BASE, "job": {**BASE["job"], "prestart": True}}
INVALID = (b"{", b"null", b'{"job": {}}', b'{"flinkVersion": "2.2", "job": {"type": "cobol", "uri": "x"}}')
HELD_S = 45.0
"""Until every leader has surely seen that the desired tree is back; a delete before that is none."""


class Users:
    """What was written, and which versions were valid."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = MemoryStore(world.tree)
        self._documents: dict[str, dict[str, Any]] = {}
        self._mine: dict[str, Node] = {}
        self.base = BASE
        """What a name is created with."""
        self.bases: dict[str, dict[str, Any]] = {}
        """The same for a name of its own."""
        self._valid: dict[str, list[JobSpec]] = {}
        """Every valid version of the present life of a name, oldest first."""
        self._latest_valid: dict[str, bool] = {}
        self._born: dict[str, int] = {}
        """Czxid of the node with which the present life of a name began."""
        self.requests = 0
        self.hidden_uids: set[str] = set()
        """Lives that were wanted when the tree disappeared."""
        self._hidden: dict[str, Node] | None = None
        self._back_at = float("-inf")
        self.names: set[str] = set()
        """Every name that was ever used."""

    # Writing

    def apply(self, name: str, **changes: Any) -> None:
        """Create the job, or change these fields; a section's fields are merged in (`job={"parallelism": 3}`)."""
        document = copy.deepcopy(self._documents.get(name, self.bases.get(name, self.base)))
        for key, value in changes.items():
            if isinstance(value, dict):
                document.setdefault(key, {}).update(value)
            else:
                document[key] = value
        data = json.dumps(document).encode()
        if self._world.parse(RawSpec(name, SpecRef(0, 0), data)).spec is None:
            return  # a feature that this version refuses
        self._documents[name] = document
        self._write(name, data)

    def document(self, name: str) -> dict[str, Any]:
        """The newest valid document, to be put back later."""
        return copy.deepcopy(self._documents[name])

    def job_managers(self, name: str) -> int:
        """How many JobManagers any version of the present life of this name has asked for."""
        return max((spec.job_manager.replicas for spec in self._valid.get(name, [])), default=0)

    def put_back(self, name: str, document: dict[str, Any]) -> None:
        self._documents[name] = copy.deepcopy(document)
        self._write(name, json.dumps(document).encode())

    def spoil(self, name: str, data: bytes) -> None:
        """Write something that is no valid spec."""
        self._write(name, data)

    def delete(self, name: str) -> None:
        if not self.exists(name):
            return
        self.show_tree()
        if not self.all_known() or self._world.sim.now < self._back_at + HELD_S:
            return  # a job that is missing from a recreated tree is held until a person confirms
        self._world.sim.say("user", f"deletes {name}")
        self._store.delete_job(name)
        for table in (self._documents, self._mine, self._valid, self._latest_valid, self._born):
            table.pop(name, None)  # type: ignore[attr-defined]

    def hide_tree(self) -> None:
        """The desired tree is gone from view: a wrong chroot, an ACL, a mistake (fault 13)."""
        self._world.sim.say("user", "the desired tree disappears")
        self._world.tree_is_away = True
        self._hidden = self._world.tree.jobs
        self.hidden_uids = {self.uid(name) for name in self._mine}
        self._world.tree.delete_jobs_node()

    def lose_tree(self, seconds: float) -> None:
        """The desired tree is deleted; later it is created again and every job is put back into it."""
        if not self.all_known():
            return
        self.hide_tree()
        self._hidden = None
        self._world.sim.after(seconds, self.show_tree)

    def all_known(self) -> bool:
        """True when it is on record which nodes are there, and which were deleted, be it to be created again."""
        for name in self.names:
            record, node = self._world.monitor.record(name), self._mine.get(name)
            ends = record is not None and record.lifecycle in (Lifecycle.DELETING, Lifecycle.DELETED)
            if record is not None and not ends and (node is None or record.seen.czxid != node.czxid):
                return False
        return True

    def show_tree(self) -> None:
        if self._world.tree_is_away:
            self._world.sim.say("user", "the desired tree is back")
            self._world.tree_is_away = False
            self._back_at = self._world.sim.now
            if self._hidden is None:
                self._world.tree.create_jobs_node()
                for name, node in list(self._mine.items()):
                    self._put_back_lost(name, node.data)
                return
            self._world.tree.jobs = self._hidden
            self._world.tree.changed()

    def _put_back_lost(self, name: str, data: bytes) -> None:
        """The life of the name goes on, or, if nobody had seen it yet, begins now."""
        record = self._world.monitor.record(name)
        before = self.uid(name)
        node = self._put(name, data)
        if record is None or record.uid != before:
            self._born[name] = node.czxid
            if before in self._world.monitor.stateless:
                self._world.monitor.stateless.add(self.uid(name))

    def ask(self, name: str, action: str, **args: Any) -> None:
        """A person writes a request, as zkCli would; nothing when one about the same name still waits."""
        if name in self._world.tree.control:
            return
        self.requests += 1
        document = {"id": f"q{self.requests}", "action": action, "args": args, "by": "sim"}
        self._world.sim.say("user", f"asks {name}: {json.dumps(document)}")
        self._world.tree.put(self._world.tree.control, name, json.dumps(document).encode())

    def ask_junk(self, name: str, data: bytes) -> None:
        if name not in self._world.tree.control:
            self._world.tree.put(self._world.tree.control, name, data)

    def unpause_all(self) -> None:
        """Nobody forgets a pause for ever."""
        self.ask(GLOBAL, "unpause")
        for name in self.names:
            record = self._world.monitor.record(name)
            if record is not None and record.paused is not None:
                self.ask(name, "unpause")

    def confirm_deleted(self) -> None:
        """Somebody looks at what is held, and says which of it really was deleted."""
        operator = self._world.tree.operator.get(OPERATOR)
        for job in decode_operator(operator.data).held if operator is not None else ():
            if not job.confirmed and not self.exists(job.name):
                self.ask(job.name, "confirm")

    def pauses(self) -> str | None:
        """What is still paused, or still waits for its answer."""
        operator = self._world.tree.operator.get(OPERATOR)
        if operator is not None and decode_operator(operator.data).paused is not None:
            return "everything is paused"
        for name in sorted(self.names):
            record = self._world.monitor.record(name)
            if record is not None and record.paused is not None:
                return f"{name} is paused"
        waiting = sorted(self._world.tree.control)
        return f"requests about {', '.join(waiting)} wait" if waiting else None

    def _put(self, name: str, data: bytes) -> Node:
        self._store.put_job(name, data)
        jobs = self._world.tree.jobs
        assert jobs is not None
        node = self._mine[name] = jobs[name]
        return node

    def _write(self, name: str, data: bytes) -> None:
        self.show_tree()
        node = self._put(name, data)
        self._born.setdefault(name, node.czxid)
        self.names.add(name)
        parsed = self._world.parse(RawSpec(name, SpecRef(node.czxid, node.version), data))
        self._latest_valid[name] = parsed.spec is not None
        if parsed.spec is not None:
            self._valid.setdefault(name, []).append(parsed.spec)
            if parsed.spec.job.upgrade_mode == "stateless":
                self._world.monitor.stateless.add(self.uid(name))
        if self._world.sim.trace is not None:
            self._world.sim.say("user", f"writes {name}: {data.decode()}")

    # Expecting

    def exists(self, name: str) -> bool:
        return name in self._mine

    def uid(self, name: str) -> str:
        """The uid of the present life of this name."""
        return ids.job_uid(name, self._born[name])

    def acceptable(self, name: str) -> list[JobSpec]:
        """The specs that may be reconciled towards: the newest, or, while that is invalid, any earlier valid one."""
        valid = self._valid.get(name, [])
        return valid[-1:] if self._latest_valid.get(name) else list(valid)

    def latest_is_valid(self, name: str) -> bool:
        """True when the job exists and its newest version is valid."""
        return self._latest_valid.get(name, False)

    def tampered(self) -> bool:
        """True when the tree differs from what users wrote (S3)."""
        return not self._world.tree_is_away and self._world.tree.jobs != self._mine
