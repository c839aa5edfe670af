"""`FakeFlink`: the `Flink` port in memory, for unit tests and the simulation.

    flink = FakeFlink()
    flink.task_started(renderer.render(record, generation, task))    # what the agents report
    flink.advance(10.0)
    flink.observe(target, (), 10.0)

It refuses what Flink refuses, keeps what Flink keeps when processes die, and writes down whether
two generations of a job ever had it at once (S1) and what every start was restored from (S2).
It reads the TaskInfo that `fake_renderer()` renders, which is the real renderer with made-up paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from integration.flink.config import FlinkDistribution, FlinkSettings
from integration.flink.fake_cluster import NOT_EXECUTING, Cluster, FakeJob, Process, member_of
from integration.flink.fake_world import FakeWorld
from integration.flink.render import FlinkRenderer
from integration.flink.storage import names_newer, normal
from integration.flink.versions import VERSIONS
from reconciler.model.decision import FindRestorePoint, OpenGate
from reconciler.model.observation import FlinkObservation, JobState, Operation, OperationState, RestoreView
from reconciler.ports import FlinkRefused, FlinkTarget, FlinkUnreachable, JobSubmission, Trigger

EVERYTHING = "*"
"""In `unreachable`: no REST API answers."""


def fake_renderer(storage: str = "file:///storage") -> FlinkRenderer:
    """The real renderer for every version, with paths that exist nowhere."""
    distributions = {series: FlinkDistribution(f"{series}.0", "/flink", "/flink/python") for series in VERSIONS}
    return FlinkRenderer(FlinkSettings(distributions, storage, "zookeeper:2181"))


class FakeFlink(FakeWorld):
    """All Flink clusters of a simulated world. Deterministic; not thread-safe.

    `on_exit(task_id, code)` is told when a JVM ends by itself; it runs inside `advance`.
    """

    # the port

    def observe(self, target: FlinkTarget, triggers: Sequence[Trigger], now: float) -> FlinkObservation:
        serving, leader_url = self._asked(target, now)
        if isinstance(serving, FlinkObservation):
            return serving
        found = serving.members.get(target.job_id) if target.shared else serving
        if found is None or found.job is None:
            return FlinkObservation(now, reachable=True, leader_url=leader_url)
        return self._observation(found, found.job, target, triggers, leader_url)

    def observe_session(self, target: FlinkTarget, now: float) -> FlinkObservation:
        serving, leader_url = self._asked(target, now)
        if isinstance(serving, FlinkObservation):
            return serving
        registered = serving.registered(self.now, self.timing)
        busy = {tm.task_id for job in serving.jobs() if job.active for tm in self._used(job)}
        return FlinkObservation(
            self.now,
            reachable=True,
            leader_url=leader_url,
            task_managers=frozenset(tm.task_id for tm in registered),
            busy_task_managers=frozenset(busy),
        )

    def _asked(self, target: FlinkTarget, now: float) -> tuple[Cluster | FlinkObservation, str | None]:
        """The cluster whose JobManager answers and leads, or what is seen instead; and who leads by ZooKeeper."""
        if now > self.now:
            self.advance(now)
        cluster = self.clusters.get(target.cluster_id)
        leader_url = None if self.zookeeper_down or cluster is None else cluster.leader_url
        try:
            serving = self._serving(target)
        except (FlinkUnreachable, FlinkRefused) as error:
            return FlinkObservation(now, reachable=False, leader_url=leader_url, error=str(error)), leader_url
        if serving.leader is None:
            electing = "HTTP 503: leader election"
            return FlinkObservation(now, reachable=True, leader_url=leader_url, error=electing), leader_url
        return serving, leader_url

    def submit(self, target: FlinkTarget, submission: JobSubmission) -> None:
        cluster, key = self._serving(target), (target.cluster_id, target.job_id)
        if not cluster.serving:
            raise FlinkUnreachable(f"{target.url}: HTTP 503: leader election")
        if submission.entry_class in self.missing_classes:
            raise FlinkRefused(f"ProgramInvocationException: the class '{submission.entry_class}' was not found")
        known = cluster.members.get(target.job_id)
        if key in self.results or key in self.forbidden or (known is not None and known.accepted):
            return  # DuplicateJobSubmissionException
        self.calls.append(("submit", target.job_id))
        member = member_of(cluster, target.job_id, submission, self.now)
        cluster.members[target.job_id] = member
        self._begin(member)

    def forbid(self, job_id: str, cluster_id: str, version: str) -> None:  # noqa: ARG002
        if self.zookeeper_down or self.storage_down:
            raise FlinkUnreachable(f"whether {cluster_id} can run job {job_id} is not known")
        key = (cluster_id, job_id)
        if key not in self.results and self.now < self.forbidden.setdefault(key, self.now) + self.timing.accept:
            raise FlinkUnreachable(f"job {job_id} is forbidden; waiting for submissions under way")
        cluster = self.clusters.get(cluster_id)
        member = cluster.members.get(job_id) if cluster is not None else None
        if member is not None and member.accepted:
            raise FlinkRefused(f"{cluster_id} has accepted job {job_id} after all")

    def _observation(
        self, cluster: Cluster, job: FakeJob, target: FlinkTarget, triggers: Sequence[Trigger], leader_url: str | None
    ) -> FlinkObservation:
        registered = cluster.registered(self.now, self.timing)
        running = job.running_since is not None
        parallelism = self._parallelism(cluster)
        return FlinkObservation(
            at=self.now,
            reachable=True,
            job_id=target.job_id,
            job_state=job.state,
            vertices_running=running,
            parallelism=parallelism,
            task_managers=frozenset(tm.task_id for tm in registered),
            busy_task_managers=frozenset(tm.task_id for tm in self._used(cluster)) if running else frozenset(),
            completed_checkpoints=job.completed,
            latest_checkpoint_id=job.latest.checkpoint_id if job.latest else None,
            latest_checkpoint_path=job.latest.path if job.latest else None,
            latest_checkpoint_at=job.latest_at,
            restored_from=job.restored_from,
            leader_url=leader_url,
            failure=None if running else job.failure,
            flink_restarts=job.restarts,
            operations={trigger.trigger_id: self._operation(job, trigger) for trigger in triggers},
        )

    def stop_with_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None:
        self._save(target, trigger, stop=True)

    def trigger_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None:
        self._save(target, trigger, stop=False)

    def cancel(self, target: FlinkTarget) -> None:
        cluster = self._listed(target)
        job = cluster.job
        if job is None or job.state.terminal:
            return
        self.calls.append(("cancel", target.job_id))
        job.advance_to(self.now)
        job.state, job.running_since = JobState.CANCELLING, None
        job.epoch += 1
        self._in_job(cluster, self.timing.cancel, lambda: self._end(cluster, JobState.CANCELED))

    def open_gate(self, gate: OpenGate) -> None:
        if self.zookeeper_down:
            raise FlinkUnreachable(f"whether the gate of {gate.cluster_id} is open is not known")
        cluster = self.clusters.get(gate.cluster_id)
        if cluster is None or cluster.leader_url is None:
            raise FlinkUnreachable(f"no JobManager of {gate.cluster_id} waits yet")
        if cluster.gate is not None and cluster.gate != gate:
            raise FlinkRefused(f"the gate of {gate.cluster_id} was opened with {cluster.gate.restore}")
        if cluster.gate is not None:
            return
        self.calls.append(("gate", gate.job_id))
        cluster.gate = gate
        if cluster.leader is not None:
            leader = self._leader(cluster)
            self._after(self.timing.submit, lambda: self._submit(cluster, leader))

    def rescale(self, target: FlinkTarget, parallelism: int) -> None:
        cluster = self._listed(target)
        job = cluster.job
        if job is None or job.state.terminal:
            raise FlinkRefused(f"job {target.job_id} is {job.state if job else None} already")
        if not self.adaptive:
            raise FlinkRefused("the job's scheduler does not support resource requirements")
        if cluster.requested == parallelism:
            return
        self.calls.append(("rescale", target.job_id))
        cluster.requested = parallelism
        self._in_job(cluster, self.timing.deploy, lambda: self._rescaled(cluster))

    def dispose(self, target: FlinkTarget, path: str) -> None:
        self._serving(target)
        if self.snapshots.pop(normal(path), None) is not None:
            self.calls.append(("dispose", path))

    def discard(self, path: str) -> None:
        if not path.rpartition("/")[2].startswith("savepoint-"):
            raise FlinkRefused(f"{path} is not the directory of a savepoint")
        if self.storage_down:
            raise FlinkUnreachable("storage: it is not mounted")
        if self.snapshots.pop(normal(path), None) is not None:
            self.calls.append(("discard", path))

    def find_restore_point(self, what: FindRestorePoint) -> RestoreView:
        if self.zookeeper_down or self.storage_down:
            silent = "ZooKeeper is not connected" if self.zookeeper_down else "storage is not mounted"
            return RestoreView(what.generation, False, what.job_id, asked=what.paths, error=silent)
        cluster = self.clusters.get(what.cluster_id)
        if cluster is not None and cluster.is_session:
            cluster = cluster.members.get(what.job_id)
        own = f"{normal(what.checkpoint_directory)}/{what.job_id}/chk-"
        found = [snapshot for path, snapshot in self.snapshots.items() if path.startswith(own)]
        newest = max(found, key=lambda snapshot: snapshot.checkpoint_id, default=None)
        named = [path for path in cluster.pointers if path.startswith(own)] if cluster is not None else []
        result = self.results.get((what.cluster_id, what.job_id))
        return RestoreView(
            generation=what.generation,
            answered=True,
            job_id=what.job_id,
            ha_metadata=cluster is not None and bool(cluster.pointers),
            accepted=cluster is not None and cluster.accepted,
            checkpoint_path=newest.path if newest else None,
            checkpoint_id=newest.checkpoint_id if newest else None,
            checkpoint_lost=names_newer(named, newest.checkpoint_id if newest else None),
            savepoints=tuple(sorted(found for below in what.trigger_directories for found in self._savepoints(below))),
            missing=tuple(path for path in what.paths if normal(path) not in self.snapshots),
            asked=what.paths,
            terminal=result.value if result else None,
        )

    def clean_up(self, job_id: str, cluster_id: str) -> None:  # noqa: ARG002
        if self.zookeeper_down or self.storage_down:
            raise FlinkUnreachable(f"HA data of {cluster_id} is not cleaned up")
        cluster = self.clusters.get(cluster_id)
        if cluster is not None and cluster.job_managers:
            self.violations.append(f"{cluster_id} was cleaned up while {sorted(cluster.job_managers)} were alive")
        if cluster is not None:
            cluster.leader_url, cluster.gate = None, None
            for job in cluster.jobs():
                if job.session is not None and job.accepted:
                    self.violations.append(f"{cluster_id} was cleaned up while it had the job {job.job_id}")
                job.pointers = ()
        for key in [key for key in (*self.results, *self.forbidden) if key[0] == cluster_id]:
            self.results.pop(key, None)
            self.forbidden.pop(key, None)

    # requests

    def _serving(self, target: FlinkTarget) -> Cluster:
        """The cluster whose JobManager answers at the URL, verified to be the right one (fault 52)."""
        for cluster in self.clusters.values():
            for process in cluster.job_managers.values():
                if process.url == target.url and self._answers(process):
                    if cluster.cluster_id != target.cluster_id:
                        raise FlinkRefused(f"{target.url} is the JobManager of another job ({cluster.job_id})")
                    return cluster
        raise FlinkUnreachable(f"{target.url}: connection refused")

    def _answers(self, process: Process) -> bool:
        up = self.now >= process.started_at + self.timing.rest
        return up and process.task_id not in self.unreachable and EVERYTHING not in self.unreachable

    def _listed(self, target: FlinkTarget) -> Cluster:
        serving = self._serving(target)
        cluster = serving.members.get(target.job_id, serving) if target.shared else serving
        if cluster.job is None or cluster.job_id != target.job_id:
            raise FlinkUnreachable(f"{target.url} does not list job {target.job_id} yet")
        return cluster

    def _save(self, target: FlinkTarget, trigger: Trigger, *, stop: bool) -> None:
        cluster = self._listed(target)
        job = cluster.job
        if job is None or job.state.terminal:
            raise FlinkRefused(f"job {target.job_id} is {job.state if job else None} already")
        if trigger.trigger_id in job.operations:
            return
        self.calls.append(("stop" if stop else "savepoint", trigger.trigger_id))
        if job.running_since is None or job.stopping is not None:
            job.operations[trigger.trigger_id] = NOT_EXECUTING
            return
        job.operations[trigger.trigger_id] = Operation(OperationState.IN_PROGRESS)
        job.stopping = trigger.trigger_id if stop else None
        self._in_job(cluster, self.timing.savepoint, lambda: self._saved(cluster, trigger, stop=stop))

    def _operation(self, job: FakeJob, trigger: Trigger) -> Operation:
        """As the adapter answers it: from Flink's result and the trigger's own directory."""
        forgotten = Operation(
            OperationState.UNKNOWN, error=f"no savepoint operation with triggerId={trigger.trigger_id}"
        )
        found = job.operations.get(trigger.trigger_id, forgotten)
        if found.state is OperationState.IN_PROGRESS:
            return found
        if self.storage_down:
            unknown = found.state is OperationState.UNKNOWN
            return Operation(OperationState.UNKNOWN if unknown else OperationState.IN_PROGRESS, error="not mounted")
        saved = self._savepoints(trigger.directory)
        if found.path is None and saved:
            state = OperationState.COMPLETED if found.state is OperationState.UNKNOWN else found.state
            return Operation(state, path=saved[-1][1], checkpoint_id=saved[-1][0], error=found.error)
        snapshot = self.snapshots.get(found.path) if found.path else None
        return replace(found, checkpoint_id=snapshot.checkpoint_id) if snapshot else found

    def _savepoints(self, directory: str) -> tuple[tuple[int, str], ...]:
        below = f"{normal(directory)}/savepoint-"
        return tuple(sorted((s.checkpoint_id, path) for path, s in self.snapshots.items() if path.startswith(below)))
