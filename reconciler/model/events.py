"""Everything that can happen to the loop, as values on one queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.control import Asked
from reconciler.model.observation import FlinkObservation, RestoreView, TaskState
from reconciler.model.operator import OperatorRecord
from reconciler.model.record import Record, SpecRef
from reconciler.model.resources import InverseOffer, Offer
from reconciler.model.spec import JobSpec

# From Mesos


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The master accepted the subscription. The framework id must be persisted before any launch."""

    framework_id: str
    master: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The event stream ended; the driver subscribes again by itself. Silence is not death."""

    why: str


@dataclass(frozen=True, slots=True)
class OffersReceived:
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class OfferRescinded:
    offer_id: str


@dataclass(frozen=True, slots=True)
class InverseOffersReceived:
    """Agents with tasks of ours have maintenance windows; sent again until nothing of ours is there."""

    offers: tuple[InverseOffer, ...]


@dataclass(frozen=True, slots=True)
class InverseOfferRescinded:
    offer_id: str


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """A status update. It is acknowledged after what it changed is persisted, and only if it has a uuid."""

    task_id: str
    state: TaskState
    agent_id: str | None = None
    reason: str | None = None
    message: str | None = None
    source: str | None = None
    uuid: str | None = None


@dataclass(frozen=True, slots=True)
class AgentLost:
    """Mesos removed an agent. Its tasks get updates of their own; this only explains them."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class FrameworkDisplaced:
    """Another scheduler subscribed with our framework id: abdicate, do not subscribe again (fault 35)."""


@dataclass(frozen=True, slots=True)
class FrameworkRemoved:
    """The master has removed our framework; halt for a person (fault 25)."""

    why: str


@dataclass(frozen=True, slots=True)
class FrameworkNamesake:
    """Another framework has our name and live tasks, and our tree knows nothing of it; halt for a person (fault 65)."""

    why: str


# From ZooKeeper


@dataclass(frozen=True, slots=True)
class RawSpec:
    """The bytes of one `/weir/jobs/<name>` and which version of it they are."""

    name: str
    ref: SpecRef
    data: bytes
    unreadable: bool = False
    """Its ACL keeps the bytes from Weir; `data` is empty then."""


@dataclass(frozen=True, slots=True)
class DesiredTree:
    """One listing of `/weir/jobs`. `czxid` None: the node is missing, which is not "no jobs" (S7)."""

    czxid: int | None
    specs: Mapping[str, RawSpec] = field(default_factory=dict)
    whole: bool = True
    """False: `specs` has only the nodes that were edited or are new since the reading that was named; all others are

    as they were then, none is gone, and none was created again."""
    reading: int = field(default=0, compare=False)
    """What a later reading names to be told of changes only; 0 names nothing."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record and the znode version that a conditional write has to name."""

    record: Record
    version: int


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that does not parse or is of a newer schema: its job is quarantined (fault 12)."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class StoredOperator:
    """What is persisted about all jobs; `record` None with `error`: it cannot be read."""

    record: OperatorRecord | None
    version: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DesiredChanged:
    """Something below `/weir/jobs` or `/weir/control` changed; it has to be read again (watches may coalesce)."""


@dataclass(frozen=True, slots=True)
class ParsedSpec:
    """What became of one version of a desired state: valid, or refused with a sentence."""

    ref: SpecRef
    spec: JobSpec | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DesiredLoaded:
    """A read of the desired tree ended; `tree` None: ZooKeeper did not answer.

    `parsed` holds the versions that were not known before the read, and those that were refused then.
    """

    tree: DesiredTree | None
    parsed: Mapping[str, ParsedSpec] = field(default_factory=dict)
    error: str | None = None
    control: Mapping[str, Asked] = field(default_factory=dict)
    """Requests of people that wait, by name."""


@dataclass(frozen=True, slots=True)
class RecordsLoaded:
    """A new leader has read what its predecessors remembered; `records` None: ZooKeeper did not answer."""

    framework_id: str | None
    records: Mapping[str, StoredRecord | UnreadableRecord] | None
    error: str | None = None
    operator: StoredOperator | None = None


@dataclass(frozen=True, slots=True)
class FrameworkIdSaved:
    """The framework id is durable (or, with `error`, is not): launching is allowed from now on."""

    error: str | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit of one job ended. `version` None with `error`: not applied, or nobody knows."""

    job: str
    token: int
    version: int | None
    error: str | None = None
    fenced: bool = False
    too_large: bool = False
    """Nothing was written, and trying again changes nothing."""
    reread: bool = False
    """After an unclear or conflicting write: `stored` is what is really there now (None: no record)."""
    stored: StoredRecord | None = None


@dataclass(frozen=True, slots=True)
class OperatorCommitted:
    """A write of the operator's own record ended; the fields are those of `Committed`."""

    version: int | None
    error: str | None = None
    fenced: bool = False
    reread: bool = False
    stored: StoredOperator | None = None


# From Flink


@dataclass(frozen=True, slots=True)
class FlinkAnswered:
    """A poll of one generation's JobManager ended."""

    job: str
    generation: int
    observation: FlinkObservation


@dataclass(frozen=True, slots=True)
class RestoreFound:
    """A look at storage and HA metadata ended."""

    job: str
    key: str
    view: RestoreView


@dataclass(frozen=True, slots=True)
class EffectDone:
    """A slow effect ended; level-triggered deciding looks at what it changed, this frees its key."""

    job: str
    key: str
    error: str | None = None
    refused: bool = False
    """With `error`: the other side understood and said no, so trying again changes nothing."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the loop: the lease was lost, or the replica shuts down."""

    why: str


Event = (
    Subscribed | Disconnected | OffersReceived | OfferRescinded | InverseOffersReceived | InverseOfferRescinded
    | TaskUpdate | AgentLost
    | FrameworkDisplaced | FrameworkRemoved | FrameworkNamesake | DesiredChanged | DesiredLoaded | RecordsLoaded
    | FrameworkIdSaved | Committed | OperatorCommitted
    | FlinkAnswered | RestoreFound | EffectDone | Tick | Stop
)  # fmt: skip
