"""What the reference of a spec's fields says in words; see `spec_reference`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INTRODUCTION = """\
# The spec

<!-- Made by `python -m reconciler.app.spec_reference > docs/spec.md`; a test compares. -->

A spec is the desired state of one job. It is one JSON object in the znode `/weir/jobs/NAME`. The name of the
job is the name of the znode: lower-case letters, digits and dashes, a letter or digit first and last, at most
63 characters. `weir apply -f FILE` reads YAML and JSON files and stores JSON. The smallest spec is

```json
{"flinkVersion": "2.2", "job": {"type": "python", "uri": "file:///srv/jobs/even_ids.py"}}
```

of a session `{"kind": "Session", "flinkVersion": "2.2"}`, and of a job in it
`{"kind": "SessionJob", "session": "NAME", "job": {"type": "jar", "uri": "file:///srv/jobs/orders.jar"}}`. What a
kind does not have is refused; the meaning of a field names those kinds.

A spec is accepted as a whole or not at all. An unknown field, a wrong type or a value that cannot work is
refused; a running job then goes on with its last valid spec, and the error, with the path of the field and a
repair, is in `/weir/status/NAME`, in `weir describe NAME` and in the log. The same in machine-readable form is
[schemas/spec.json](schemas/spec.json).

**Durations** are strings with a unit: `ms`, `s`, `m`, `h` or `d`, such as `"30s"`. **Sizes** are strings with
`m`, `g` or `t` (powers of 1024), such as `"768m"`. A bare number is refused, because its unit would be a guess.

**A change causes** one of three things; of several changes the largest wins.

- *nothing restarts*: Weir takes the new value, the job runs on.
- *rescale*: the parallelism changes in the running job, without a new generation. If Flink refuses that, or is not done
  within `health.readinessTimeout`, it is carried out as an upgrade.
- *upgrade*: the running generation is ended as `job.upgradeMode` says, and the next one starts from its state.

## At the top
"""

SECTIONS: Mapping[str, str] = {
    "job": "What runs, and how it goes from one version to the next.",
    "jobManager": "The JobManager process. `memory` is the total process memory; Weir divides it up as Flink does.",
    "taskManager": (
        "The TaskManager processes. `memory` is the total process memory of each; Weir divides it up as Flink does."
    ),
    "placement": "Where tasks may run. The strategy is a plugin; see [plugins.md](plugins.md).",
    "restart": (
        "How Weir itself restarts; the strategy is a plugin, see [plugins.md](plugins.md). Two things restart a job. "
        "Flink's own `restart-strategy` (set it in `flinkConfiguration`) heals exceptions inside a running JobManager. "
        "The strategy here decides about a task that was lost or exited, and about a job that Flink gave up on."
    ),
    "snapshots": "Where savepoints go and how long they are kept.",
    "health": "When a job counts as started, stable or unhealthy.",
}

FIELDS: Mapping[str, str] = {
    "apiVersion": "Version of this format.",
    "kind": (
        "`Application`: one Flink cluster for one job. `Session`: a cluster without a job of its own. "
        "`SessionJob`: a job that is submitted to a session. See [jobs.md](jobs.md#sessions)."
    ),
    "flinkVersion": (
        "Version of Flink. The operator's configuration maps it to a distribution on the agents. "
        "Put it into quotes: as a number, 1.20 would be 1.2."
    ),
    "user": "Account that the tasks run as. Null: the operator's default.",
    "env": "Environment variables of JobManager and TaskManagers.",
    "secrets": (
        "Name and file on the agent. `${secret:NAME}` as a value in `flinkConfiguration` becomes the content of that "
        "file when a process starts; the job finds its path in the environment variable `NAME_FILE`."
    ),
    "flinkConfiguration": (
        "Flink's own options, flat keys. What the operator decides cannot be set; see the end of this page."
    ),
    "session": "Name of the session that the job runs in.",
    "onDelete": (
        "What happens to the job when its znode is deleted. `savepoint`: it is stopped with one. `cancel`: it is "
        "cancelled without. `keep`: its tasks are left running and forgotten."
    ),
    "restartNonce": "Another number than before restarts the job once, from its newest state.",
    "job.type": (
        "`python`: a PyFlink script. `jar`: a JAR file. `sql`: a script of SQL statements. See [jobs.md](jobs.md)."
    ),
    "job.uri": "The program: a script or a JAR. An absolute path or a `file:` URI has to exist on every agent.",
    "job.entryClass": "Main class of a JAR. Null: the one in its manifest.",
    "job.pyFiles": "More Python files and archives.",
    "job.args": "Arguments of the job, as they are; no shell reads them.",
    "job.parallelism": "Default parallelism of the job, and how many slots it needs.",
    "job.state": (
        "`suspended` ends the job as `upgradeMode` says and remembers its state; `running` resumes it from there."
    ),
    "job.upgradeMode": (
        "How a running generation is ended. `savepoint`: stopped with a savepoint. `last-state`: its JobManager is "
        "killed, and the newest checkpoint is used. `stateless`: cancelled, the next one starts empty."
    ),
    "job.initialSavepointPath": "What the first generation starts from. Later ones start from the job's own state.",
    "job.allowNonRestoredState": "Start although the state holds operators that the job no longer has.",
    "job.prestart": (
        "Whether an upgrade starts the next generation's processes while the job still runs, so that it is away for a "
        "shorter time. Offers have to hold both for that while; where they do not, the upgrade goes on without."
    ),
    "job.savepointTriggerNonce": "Another number than before writes a savepoint once.",
    "jobManager.cpus": "CPUs that are taken from the offer.",
    "jobManager.memory": "Total memory of the process, taken from the offer.",
    "jobManager.disk": "Disk for its sandbox, taken from the offer. Null: none is taken, and none is guaranteed.",
    "jobManager.replicas": (
        "JobManagers, of which Flink elects one; the others stand by, and one takes over in seconds if it dies."
    ),
    "taskManager.cpus": "CPUs of each, taken from the offer.",
    "taskManager.memory": "Total memory of each process, taken from the offer.",
    "taskManager.disk": (
        "Disk for the sandbox of each, with temporary files and RocksDB, taken from the offer. Null: none is taken, "
        "and none is guaranteed."
    ),
    "taskManager.gpus": (
        "Whole GPUs of each, taken from the offer; the operator has to ask for them (`mesos.gpus`). How "
        "Flink hands them to operators is set in `flinkConfiguration` (`external-resources`)."
    ),
    "taskManager.slots": "Task slots of each.",
    "taskManager.replicas": "How many. Null: as many as `job.parallelism` needs; one for a session.",
    "placement.strategy": (
        "`spread`: the tasks of a job go to as many agents as possible. `pack`: the agent with the least left is "
        "filled first. Others come with plugins."
    ),
    "placement.constraints": (
        "Requirements on agents, as Marathon has them: `[field, operator]` or `[field, operator, value]` with the "
        "operators `UNIQUE`, `CLUSTER`, `GROUP_BY`, `LIKE`, `UNLIKE`, `MAX_PER` and `IS`; see "
        "[plugins.md](plugins.md#constraints)."
    ),
    "placement.role": "Mesos role whose resources are used.",
    "placement.options": "Settings of a strategy that comes with a plugin.",
    "restart.strategy": (
        "`exponential-delay`: each failure in a row waits longer, and it never gives up. `fixed-delay`: always the "
        "same delay, at most `attempts` times. `failure-rate`: gives up after more than `maxFailures` per `interval`. "
        "`none`: gives up at the first failure. Others come with plugins."
    ),
    "restart.initialBackoff": "`exponential-delay`: delay after the first failure.",
    "restart.maxBackoff": "`exponential-delay`: the longest delay.",
    "restart.multiplier": "`exponential-delay`: how much longer each delay is than the one before.",
    "restart.jitter": "Each delay is changed by up to this share, so that many jobs do not restart at once.",
    "restart.resetAfter": "After this long without a failure the next one counts as the first.",
    "restart.delay": "`fixed-delay` and `failure-rate`: the delay after every failure.",
    "restart.attempts": "`fixed-delay`: how many failures in a row are restarted. Null: any number.",
    "restart.maxFailures": "`failure-rate`: how many failures per `interval` are restarted.",
    "restart.interval": "See `maxFailures`.",
    "restart.options": "Settings of a strategy that comes with a plugin.",
    "snapshots.savepointDir": (
        "Where savepoints are written; Flink has to be able to write there. Null: `savepoints` below the operator's "
        "storage. Each savepoint gets a directory of its own below it."
    ),
    "snapshots.interval": "Time between periodic savepoints.",
    "snapshots.cron": "Times of periodic savepoints.",
    "snapshots.maxCount": "How many savepoints are kept.",
    "snapshots.maxAge": "How long savepoints are kept.",
    "snapshots.disposeOnDelete": (
        "When the job is deleted, remove the savepoints that Weir took of it. The last one of `onDelete: savepoint` "
        "stays, and those that other jobs refer to; checkpoints, and savepoints from elsewhere, are not touched. Not "
        "with `onDelete: keep`."
    ),
    "health.launchTimeout": "A task that does not run this long after its launch is asked about, then replaced.",
    "health.readinessTimeout": "How long a new generation may take until it is stable.",
    "health.stableAfter": (
        "A job is STABLE when all of its tasks have run for this long, with at least one completed checkpoint if "
        "checkpointing is on."
    ),
    "health.maxRestarts": "How many restarts in `restartWindow` make a job unhealthy.",
    "health.restartWindow": "See `maxRestarts`.",
    "health.checkpointStall": "A job without a completed checkpoint for this long is unhealthy.",
    "health.rollback": "Go back to the last stable spec when a new one does not become stable in time.",
}

EXAMPLES: Mapping[str, Any] = {
    "apiVersion": "weir/v1",
    "kind": "Application",
    "flinkVersion": "2.2",
    "user": "flink",
    "env": {"LEVEL": "debug"},
    "secrets": {"kafka": "/etc/weir/kafka"},
    "flinkConfiguration": {"execution.checkpointing.interval": "2s"},
    "session": "shared",
    "onDelete": "cancel",
    "restartNonce": 1,
    "job.type": "jar",
    "job.uri": "file:///srv/jobs/orders.jar",
    "job.entryClass": "org.example.Orders",
    "job.pyFiles": ["file:///srv/jobs/lib.zip"],
    "job.args": ["--input", "/srv/in"],
    "job.parallelism": 4,
    "job.state": "suspended",
    "job.upgradeMode": "last-state",
    "job.initialSavepointPath": "file:///srv/savepoints/savepoint-1",
    "job.allowNonRestoredState": True,
    "job.prestart": True,
    "job.savepointTriggerNonce": 1,
    "jobManager.cpus": 1.0,
    "jobManager.memory": "1g",
    "jobManager.disk": "1g",
    "jobManager.replicas": 2,
    "taskManager.cpus": 2.0,
    "taskManager.memory": "4g",
    "taskManager.disk": "20g",
    "taskManager.gpus": 1,
    "taskManager.slots": 4,
    "taskManager.replicas": 3,
    "placement.strategy": "spread",
    "placement.constraints": [["hostname", "UNIQUE"]],
    "placement.role": "streaming",
    "placement.options": {"attribute": "disk", "value": "ssd"},
    "restart.strategy": "exponential-delay",
    "restart.initialBackoff": "500ms",
    "restart.maxBackoff": "5m",
    "restart.multiplier": 1.5,
    "restart.jitter": 0.2,
    "restart.resetAfter": "1h",
    "restart.delay": "10s",
    "restart.attempts": 5,
    "restart.maxFailures": 5,
    "restart.interval": "10m",
    "restart.options": {"step": "30s"},
    "snapshots.savepointDir": "s3://bucket/savepoints",
    "snapshots.interval": "6h",
    "snapshots.cron": "0 3 * * *",
    "snapshots.maxCount": 5,
    "snapshots.maxAge": "30d",
    "snapshots.disposeOnDelete": True,
    "health.launchTimeout": "5m",
    "health.readinessTimeout": "10m",
    "health.stableAfter": "1m",
    "health.maxRestarts": 10,
    "health.restartWindow": "10m",
    "health.checkpointStall": "15m",
    "health.rollback": True,
}

CONFIGURATION = """\
## Keys of flinkConfiguration that are refused

What the operator decides itself cannot be set: it would break what keeps the generations of a job apart, or what
finds its newest state. Such a key is refused with the reason below. Everything else is yours: memory fractions,
state backends, table options and so on. The layers are: Flink's defaults, Weir's suggestions (for example the
adaptive scheduler, `table.exec.uid.generation: ALWAYS`, and heartbeats of one second), your configuration, and what
the operator decides.
"""
