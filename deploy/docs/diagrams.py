"""The diagrams of docs/architecture.md, drawn from the small texts below: `make schemas` draws them anew.

    python deploy/docs/diagrams.py docs/images

A picture brings its own ground and follows the reader's choice of dark or light, so that it can be read wherever it is
shown. Lengths are pixels. Nothing is fetched, and nothing but Python is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

LINE = 16
STYLE = """
.ground { fill: #f6f8fb; stroke: #d5dde7; }
.group { fill: #eaeff6; stroke: #b8c6d6; stroke-dasharray: 5 4; }
.box { fill: #ffffff; stroke: #0b57a4; stroke-width: 1.5; }
.ours { fill: #dbeafb; stroke: #0b57a4; stroke-width: 1.5; }
.store { fill: #fff6df; stroke: #a87400; stroke-width: 1.5; }
.line { fill: none; stroke: #44546a; stroke-width: 1.5; marker-end: url(#tip); }
.life { stroke: #9aabbe; stroke-dasharray: 3 4; }
.tip { fill: #44546a; }
text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1b2430; }
.head { font-weight: 600; }
.said { font-size: 12px; fill: #44546a; paint-order: stroke; stroke: #f6f8fb; stroke-width: 5px; }
.mono { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: 12.5px; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #1d242c; stroke: #3a4653; }
  .group { fill: #242d37; stroke: #52616f; }
  .box { fill: #2c3743; stroke: #7ab8f5; }
  .ours { fill: #17395c; stroke: #7ab8f5; }
  .store { fill: #3d331a; stroke: #e0b34a; }
  .line { stroke: #a9b7c6; }
  .life { stroke: #5d6c7b; }
  .tip { fill: #a9b7c6; }
  text { fill: #e6ecf3; }
  .said { fill: #b7c4d2; stroke: #1d242c; }
}
"""


@dataclass
class Picture:
    """One SVG. `title` is what a screen reader says."""

    title: str
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, said: str, style: str = "", anchor: str = "middle") -> None:
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{escape(said)}</text>')

    def rectangle(self, x: float, y: float, w: float, h: float, style: str) -> None:
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="6" class="{style}"/>')

    def box(self, x: float, y: float, w: float, h: float, said: str, style: str = "box") -> None:
        """A box with its name in the first line of `said`, and what it does below."""
        self.rectangle(x, y, w, h, style)
        lines = said.split("\n")
        top = y + h / 2 - (len(lines) - 1) * LINE / 2 + 4.5
        for number, line in enumerate(lines):
            self.text(x + w / 2, top + number * LINE, line, "head" if number == 0 else "")

    def group(self, x: float, y: float, w: float, h: float, said: str) -> None:
        self.rectangle(x, y, w, h, "group")
        self.text(x + 12, y + 20, said, "head", "start")

    def arrow(self, *points: tuple[float, float], said: str = "", at: tuple[float, float] | None = None) -> None:
        """A line through `points`; what it says stands in its middle, or at `at`."""
        path = " L ".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path d="M {path}" class="line"/>')
        if said:
            (x1, y1), (x2, y2) = points[0], points[-1]
            x, y = at or ((x1 + x2) / 2, (y1 + y2) / 2 - 6)
            for number, line in enumerate(said.split("\n")):
                self.text(x, y + number * 14, line, "said")

    def svg(self) -> str:
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        tip = (
            '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M 0 0 L 10 5 L 0 10 z" class="tip"/></marker>'
        )
        ground = f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="8" class="ground"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(self.title)}">'
        body = "\n".join(self.parts)
        title = f"<title>{escape(self.title)}</title>"
        return f"{head}\n{title}\n<style>{STYLE}</style>\n<defs>{tip}</defs>\n{ground}\n{body}\n</svg>\n"


def context() -> Picture:
    """Level 1: Weir, and whom it has to do with."""
    made = Picture("Weir among people and systems: what is written into ZooKeeper runs as Flink on Mesos", 860, 400)
    made.box(30, 40, 200, 64, "Users\nwrite desired state", "box")
    made.box(30, 296, 200, 64, "Operators\ndrain, pause, back up", "box")
    made.box(330, 40, 200, 64, "ZooKeeper\ndesired state, memory", "store")
    made.box(330, 168, 200, 64, "Weir\ndecides and acts", "ours")
    made.box(330, 296, 200, 64, "Prometheus, browsers\nlook", "box")
    made.box(630, 40, 200, 64, "Apache Mesos\noffers, runs tasks", "box")
    made.box(630, 168, 200, 64, "Apache Flink\none cluster for each job", "box")
    made.box(630, 296, 200, 64, "Durable storage\ncheckpoints, savepoints", "store")
    made.arrow((230, 72), (328, 72), said="zkCli.sh,\nweir apply", at=(279, 54))
    made.arrow((130, 296), (130, 200), (328, 200), said="weir drain, weir pause …", at=(215, 190))
    made.arrow((410, 166), (410, 106), said="records, statuses", at=(352, 140))
    made.arrow((450, 106), (450, 166), said="what is wanted", at=(502, 140))
    made.arrow((530, 186), (580, 186), (580, 72), (628, 72), said="launch, kill", at=(582, 130))
    made.arrow((530, 212), (628, 212), said="savepoint, stop", at=(580, 232))
    made.arrow((730, 106), (730, 166), said="JobManager, TaskManagers", at=(730, 140))
    made.arrow((730, 234), (730, 294), said="state", at=(730, 268))
    made.arrow((500, 234), (500, 264), (680, 264), (680, 294), said="which state is the newest?", at=(584, 258))
    made.arrow((430, 294), (430, 234), said="metrics, pages", at=(378, 270))
    return made


def processes() -> Picture:
    """Level 2: what runs where, and who speaks with whom over what."""
    made = Picture("The processes: replicas of Weir, an ensemble, masters, agents with tasks, storage", 960, 520)
    made.group(30, 30, 250, 170, "replicas: weir run")
    made.box(50, 62, 210, 56, "leader\nloop, HTTP, metrics", "ours")
    made.box(50, 130, 210, 52, "standby, standby\nwait in line, redirect", "ours")
    made.group(355, 30, 250, 110, "ZooKeeper ensemble")
    made.box(375, 62, 98, 60, "/weir\nWeir", "store")
    made.box(487, 62, 98, 60, "/flink\nFlink HA", "store")
    made.group(680, 30, 250, 110, "Mesos masters")
    made.box(700, 62, 98, 60, "leader", "box")
    made.box(812, 62, 98, 60, "standby", "box")
    made.group(250, 270, 330, 130, "Mesos agent 1")
    made.box(
        270, 302, 290, 80, "JobManager of orders, generation 2\none task: JVM, sandbox,\nports from the offer", "box"
    )
    made.group(600, 270, 330, 130, "Mesos agent 2")
    made.box(
        620, 302, 290, 80, "TaskManager of orders, generation 2\none task: JVM, sandbox,\nports from the offer", "box"
    )
    made.box(
        250, 446, 680, 50, "durable storage: checkpoints, savepoints, HA data (a shared directory, or S3)", "store"
    )
    made.box(30, 302, 170, 80, "people and tools\nweir …, zkCli.sh,\nbrowser", "box")
    made.arrow((262, 82), (373, 82), said="session, watches,\nfenced multi", at=(317, 60))
    made.arrow(
        (262, 110),
        (320, 110),
        (320, 168),
        (749, 168),
        (749, 124),
        said="/api/v1/scheduler: subscribe, accept, kill, acknowledge, reconcile",
        at=(535, 162),
    )
    made.arrow((715, 142), (715, 220), (415, 220), (415, 268), said="launch", at=(440, 238))
    made.arrow((800, 142), (800, 268), said="launch", at=(826, 238))
    made.arrow((230, 202), (230, 342), (268, 342), said="REST", at=(230, 246))
    made.arrow((562, 342), (618, 342), said="RPC", at=(590, 334))
    made.arrow((536, 300), (536, 124), said="leader, HA", at=(536, 200))
    made.arrow((415, 402), (415, 444))
    made.arrow((765, 402), (765, 444))
    made.arrow((90, 300), (90, 202), said="HTTP: pages, /metrics", at=(102, 256))
    made.arrow((30, 342), (14, 342), (14, 14), (430, 14), (430, 28), said="desired state, requests", at=(130, 22))
    made.arrow((150, 202), (150, 226), (215, 226), (215, 470), (248, 470), said="newest state?", at=(178, 420))
    return made


SOURCES = (
    "DesiredView\n/weir/jobs changed",
    "MesosCluster\noffers, task updates",
    "Poller\nFlink's answers",
    "Control\nrequests of people",
)
"""Where the loop's events come from."""


def components() -> Picture:
    """Level 3: the parts of a leader."""
    made = Picture("The components of a leader: events in, pure decisions, a fenced commit, effects out", 960, 560)
    made.group(20, 20, 210, 300, "what happens")
    for number, said in enumerate(SOURCES):
        made.box(36, 50 + number * 66, 178, 52, said, "box")
    made.box(
        290,
        50,
        170,
        250,
        "Loop\n\none thread\nowns all memory,\nnever blocks;\none event at a time,\ntimers, full reading\nevery 30 s",
        "ours",
    )
    made.group(520, 20, 420, 300, "pure: no clock, no chance, no I/O")
    made.box(540, 52, 380, 60, "decide(desired, record, observation, now)\nnew record, effects, why", "ours")
    made.box(540, 126, 182, 52, "while it runs\nscaling, tasks, health", "box")
    made.box(738, 126, 182, 52, "between generations\nending, restore point", "box")
    made.box(540, 192, 182, 52, "diff\nIGNORE, SCALE, UPGRADE", "box")
    made.box(738, 192, 182, 52, "lifecycle, report\nname, status", "box")
    made.box(540, 258, 380, 46, "place(wanted tasks, offers)\nagents, ports, or why not", "ours")
    made.box(290, 360, 170, 70, "Committer\none fenced multi\nper decision", "ours")
    made.box(290, 470, 170, 70, "Releaser\nonly what is\nknown as written", "ours")
    made.group(520, 350, 420, 200, "ports, each with a fake and one contract suite")
    made.box(540, 384, 380, 42, "Store: state/ on ZooKeeper (kazoo)", "store")
    made.box(540, 438, 380, 42, "Cluster: integration/mesos on pymesos", "box")
    made.box(540, 492, 380, 42, "Flink: integration/flink on REST, HA, storage", "box")
    made.box(36, 360, 178, 70, "Leadership\nelection, epoch, lease;\na new Loop each time", "ours")
    made.box(36, 470, 178, 70, "TakeOver\nreads, reconciles,\nthen acts", "ours")
    for number in range(len(SOURCES)):
        made.arrow((214, 76 + number * 66), (288, 76 + number * 66), said="events" if number == 0 else "")
    made.arrow((460, 82), (538, 82), said="dirty jobs", at=(499, 72))
    made.arrow((538, 281), (462, 281), said="assignments", at=(500, 272))
    made.arrow((375, 300), (375, 358), said="record, status, events", at=(375, 334))
    made.arrow((460, 400), (538, 400), said="multi", at=(499, 392))
    made.arrow((375, 430), (375, 468), said="committed", at=(375, 454))
    made.arrow((460, 494), (500, 494), (500, 460), (538, 460), said="ACCEPT", at=(500, 484))
    made.arrow((460, 520), (538, 520), said="effects", at=(499, 535))
    made.arrow((214, 395), (252, 395), (252, 286), (288, 286), said="leads", at=(250, 350))
    made.arrow((125, 432), (125, 468))
    return made


STEPS = (
    ("user", "zk", "set /weir/jobs/orders"),
    ("zk", "loop", "watch fires: DesiredChanged"),
    ("pool", "zk", "read the tree"),
    ("pool", "loop", "DesiredLoaded: orders is dirty"),
    ("loop", "loop", "decide(): generation 2 wants a JobManager"),
    ("master", "loop", "OFFERS: ports, cpus, memory"),
    ("loop", "loop", "place(): agent-1, ports, task id"),
    ("pool", "zk", "multi: check epoch, record, status, events"),
    ("pool", "loop", "Committed"),
    ("pool", "master", "ACCEPT with LAUNCH"),
    ("master", "loop", "UPDATE: TASK_RUNNING"),
    ("pool", "zk", "multi: the task runs"),
    ("pool", "master", "ACKNOWLEDGE"),
)
"""From a changed znode to an ACCEPT: who says what to whom. Nothing is sent before it is written down."""


def sequence() -> Picture:
    """Level 4: the way of one change."""
    names = {
        "user": "user",
        "zk": "ZooKeeper",
        "loop": "loop (one thread)",
        "pool": "pool (blocking calls)",
        "master": "Mesos master",
    }
    columns = {name: 90 + number * 195 for number, name in enumerate(names)}
    top, step = 70, 40
    made = Picture("From a changed znode to an ACCEPT", 960, top + step * len(STEPS) + 50)
    for name, said in names.items():
        x = columns[name]
        made.parts.append(f'<path d="M {x} 62 L {x} {made.height - 18}" class="life"/>')
        style = "store" if name == "zk" else "ours" if name in ("loop", "pool") else "box"
        made.box(x - 80, 22, 160, 38, said, style)
    for number, (source, target, said) in enumerate(STEPS):
        y, x1, x2 = top + number * step + 30, columns[source], columns[target]
        numbered = f"{number + 1}. {said}"
        if source == target:
            made.box(x1 - 185, y - 20, 370, 28, numbered, "ours")
            continue
        toward = 1 if x2 > x1 else -1
        made.arrow((x1 + 4 * toward, y), (x2 - 4 * toward, y), said=numbered)
    return made


TREE = (
    (0, "/weir", "the root; another one for each installation"),
    (1, "jobs/NAME", "desired state: users write it, Weir never does"),
    (1, "status/NAME", "what people and scripts read"),
    (1, "records/NAME", "the memory: generation, tasks, snapshots, budgets"),
    (1, "events/NAME", "the last 200 things that happened"),
    (1, "control/NAME, control/_global", "requests of people, until they are answered"),
    (1, "operator", "the memory about all jobs: pauses, drains, held losses"),
    (1, "leader/election", "who stands in line (ephemeral, sequential)"),
    (1, "leader/epoch", "the fence: every write of a leader checks its version"),
    (1, "leader/info", "who leads, and where its pages are"),
    (1, "framework", "the Mesos framework id"),
    (1, "schema", "version of this layout"),
    (0, "/flink", "Flink's own; Weir reads it, and tidies up after generations"),
    (1, "NAME-UID-GENERATION", "leader of a JobManager, pointers to checkpoints"),
)


def tree() -> Picture:
    """The ZooKeeper layout."""
    made = Picture("The ZooKeeper tree: who writes what", 860, 40 + 32 * len(TREE))
    for number, (depth, name, said) in enumerate(TREE):
        y = 26 + number * 32
        made.rectangle(24 + depth * 30, y, 266, 25, "box" if name.startswith(("jobs", "control")) else "store")
        made.text(34 + depth * 30, y + 17, name, "mono", "start")
        made.text(344, y + 17, said, "", "start")
    return made


PICTURES = {
    "context": context,
    "processes": processes,
    "components": components,
    "sequence": sequence,
    "zookeeper": tree,
}


def main(arguments: Iterable[str]) -> None:
    (directory,) = map(Path, arguments)
    for name, draw in PICTURES.items():
        (directory / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
