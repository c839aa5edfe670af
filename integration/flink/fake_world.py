"""What happens in `FakeFlink` while virtual time passes: processes, elections, jobs, snapshots, accidents."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from integration.flink.fake_cluster import (
    NOT_EXECUTING,
    Cluster,
    FakeJob,
    FakeSnapshot,
    Process,
    Restore,
    Timing,
    checkpoint_path,
    process_of,
    savepoint_path,
)
from integration.flink.storage import normal
from reconciler.model.observation import JobState, Operation, OperationState
from reconciler.model.record import Role
from reconciler.model.resources import TaskInfo
from reconciler.ports import Trigger


class FakeWorld:
    """All clusters, storage and HA data, without the REST API. `FakeFlink` adds the port."""

    def __init__(self, *, now: float = 0.0, on_exit: Callable[[str, int], None] | None = None) -> None:
        self.now = now
        self.timing = Timing()
        self.on_exit = on_exit
        self.snapshots: dict[str, FakeSnapshot] = {}
        """Storage: complete snapshots by path. Delete one to lose it."""
        self.results: dict[tuple[str, str], JobState] = {}
        """The job result store by (cluster id, job id)."""
        self.forbidden: dict[tuple[str, str], float] = {}
        """Planted results by (cluster id, job id), with when that was."""
        self.missing_classes = {"no.such.Program"}
        """Entry classes that no JAR has."""
        self.clusters: dict[str, Cluster] = {}
        self.restores: list[Restore] = []
        self.violations: list[str] = []
        """What must never happen: overlapping generations, reused job ids, data removed under a live process."""
        self.calls: list[tuple[str, str]] = []
        """(kind, trigger or job id) of every request that changes something and reached a JobManager."""
        self.unreachable: set[str] = set()
        """Task ids whose REST API does not answer; EVERYTHING for all."""
        self.zookeeper_down = False
        self.storage_down = False
        self.fail_savepoints = 0
        """So many of the next savepoints and stops fail and write nothing."""
        self.break_stops = 0
        self.adaptive = True
        """Whether jobs take another parallelism while they run."""
        """So many of the next stops write their savepoint, then fail, and the job with them (FLINK-33522)."""
        self._job_clusters: dict[str, str] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    # the world

    def task_started(self, info: TaskInfo) -> None:
        process = process_of(info, self.now)
        cluster = self.clusters.get(process.cluster_id)
        if cluster is None:
            cluster = Cluster(process.cluster_id, process.job_id, process.uid, process.generation)
            self.clusters[process.cluster_id] = cluster
        if process.role is Role.TASK_MANAGER:
            cluster.task_managers[process.task_id] = process
            self._after(self.timing.register, lambda: self._deploy_all(cluster))
            return
        cluster.job_id = process.job_id  # none for a session
        cluster.job_managers[process.task_id] = process
        self._after(self.timing.rest, lambda: self._elect(cluster))

    def task_dead(self, task_id: str) -> None:
        """The process is gone; unknown ids are ignored, as an agent's report may be late."""
        for cluster in self.clusters.values():
            jobs = cluster.jobs()
            if task_id in cluster.task_managers:
                used = [job for job in jobs if job.job is not None and task_id in {p.task_id for p in self._used(job)}]
                del cluster.task_managers[task_id]
                for job in used:
                    self._interrupt(job, f"TaskManager {task_id} is lost")
            if cluster.job_managers.pop(task_id, None) is not None and cluster.leader == task_id:
                cluster.leader, cluster.serving = None, False
                for job in jobs:
                    job.job = None
                cluster.leaderless_until = self.now + self.timing.session
                self._after(self.timing.session, lambda c=cluster: self._elect(c))  # type: ignore[misc]

    def advance(self, now: float) -> None:
        """Move time forward; whatever is due on the way happens in order."""
        if now < self.now:
            raise ValueError(f"time does not go back from {self.now} to {now}")
        while self._events and self._events[0][0] <= now:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = now

    # accidents

    def fail_job(self, job_id: str, why: str, *, recovers: bool = False) -> None:
        """An exception in a task: Flink restarts the job, or gives up and it is FAILED."""
        cluster = self._running_cluster(job_id)
        if recovers:
            self._interrupt(cluster, why)
            return
        self._end(cluster, JobState.FAILED, why)

    def finish_job(self, job_id: str) -> None:
        """A bounded job comes to its end."""
        self._end(self._running_cluster(job_id), JobState.FINISHED)

    def forget_results(self) -> None:
        """Flink keeps results of operations for a limited time (`rest.async.store-duration`)."""
        for cluster in self.all_jobs():
            if cluster.job is not None:
                done = {k: o for k, o in cluster.job.operations.items() if o.state is OperationState.IN_PROGRESS}
                cluster.job.operations = done

    def all_jobs(self) -> list[Cluster]:
        """Every job that any cluster may run, those of sessions included."""
        return [job for cluster in self.clusters.values() for job in cluster.jobs()]

    # assertions

    def stale_restores(self) -> list[Restore]:
        """Starts that lost state (S2)."""
        return [restore for restore in self.restores if restore.stale]

    def assert_safe(self, *, stateless: bool = False) -> None:
        """AssertionError when S1 or, unless upgrades are stateless on purpose, S2 was ever broken."""
        assert not self.violations, "; ".join(self.violations)
        if not stateless:
            assert not self.stale_restores(), f"state was lost: {self.stale_restores()}"

    # what happens inside

    def _elect(self, cluster: Cluster) -> None:
        serving = [p for p in cluster.job_managers.values() if self.now >= p.started_at + self.timing.rest]
        if cluster.leader is not None or not serving or self.now < cluster.leaderless_until:
            return
        leader = min(serving, key=lambda process: (process.started_at, process.task_id))
        cluster.leader, cluster.leader_url = leader.task_id, leader.url
        self._after(self.timing.submit, lambda: self._submit(cluster, leader))

    def _submit(self, cluster: Cluster, leader: Process) -> None:
        if cluster.leader != leader.task_id:
            return
        if cluster.is_session:
            cluster.serving = True
            for member in cluster.members.values():
                if member.accepted:
                    self._begin(member)
            return
        if cluster.job is not None:
            return
        if (cluster.cluster_id, cluster.job_id) in self.results:
            self._exit(leader.task_id, 2)  # "Job has already been submitted": it runs nothing (fault 61)
            return
        if leader.gated and cluster.gate is None:
            return
        self._begin(cluster)

    def _begin(self, cluster: Cluster) -> None:
        """The elected JobManager starts a job: from its HA metadata if there is any."""
        leader = self._leader(cluster)
        self._check_alone(cluster)
        if cluster.pointers:
            known = [self.snapshots[path] for path in cluster.pointers if path in self.snapshots]
            if not known and cluster.session is None:
                self._exit(leader.task_id, 239)
                return
            self._restore(cluster, cluster.pointers[-1], known[-1] if known else None)
            if not known:
                self._end(cluster, JobState.FAILED, f"java.io.FileNotFoundException: {cluster.pointers[-1]}")
            return
        told = cluster.gate.restore if leader.gated and cluster.gate is not None else leader.restore
        restore = normal(told) if told else None
        snapshot = self.snapshots.get(restore) if restore else None
        self._restore(cluster, restore, snapshot)
        if restore is not None and snapshot is None:
            self._end(cluster, JobState.FAILED, f"java.io.FileNotFoundException: Cannot find checkpoint {restore}")

    def _restore(self, cluster: Cluster, path: str | None, snapshot: FakeSnapshot | None) -> None:
        position = snapshot.position if snapshot else 0.0
        of_uid = (s for s in self.snapshots.values() if s.uid == cluster.uid)
        newest = max(of_uid, key=lambda s: (s.generation, s.checkpoint_id), default=None)
        self.restores.append(Restore(cluster.uid, cluster.generation, self.now, path, position, newest))
        if snapshot is not None:
            cluster.next_checkpoint = max(cluster.next_checkpoint, snapshot.checkpoint_id + 1)
        cluster.job = FakeJob(JobState.CREATED, path, position, position)
        own = snapshot is not None and snapshot.path in cluster.pointers
        if own:
            cluster.job.latest, cluster.job.latest_at = snapshot, self.now
        self._deploy(cluster)

    def _check_alone(self, cluster: Cluster) -> None:
        for other in self.all_jobs():
            if other is not cluster and other.uid == cluster.uid and other.active:
                self.violations.append(
                    f"generations {other.generation} and {cluster.generation} of {cluster.uid} run at once ({self.now})"
                )
        owner = self._job_clusters.setdefault(cluster.job_id, cluster.cluster_id)
        if owner != cluster.cluster_id:
            self.violations.append(f"job id {cluster.job_id} of {owner} was used again by {cluster.cluster_id}")

    def _deploy(self, cluster: Cluster) -> None:
        job = cluster.job
        if job is None or job.state not in (JobState.CREATED, JobState.RESTARTING) or job.running_since is not None:
            return
        slots = sum(tm.slots for tm in cluster.registered(self.now, self.timing))
        slots -= sum(self._parallelism(other) for other in self._others(cluster))
        if slots >= self._parallelism(cluster):
            job.epoch += 1
            job.state = JobState.RUNNING
            self._in_job(cluster, self.timing.deploy, lambda: self._run(cluster))

    def _deploy_all(self, cluster: Cluster) -> None:
        for job in cluster.jobs():
            self._deploy(job)

    def _run(self, cluster: Cluster) -> None:
        job, leader = cluster.job, self._leader(cluster)
        assert job is not None
        job.running_since = self.now
        if leader.checkpoint_interval is not None:
            self._in_job(cluster, leader.checkpoint_interval, lambda: self._checkpoint(cluster))

    def _checkpoint(self, cluster: Cluster) -> None:
        job, leader = cluster.job, self._leader(cluster)
        assert job is not None
        assert leader.checkpoint_interval is not None
        if job.stopping is not None:
            # A stop stops the checkpoint scheduler first, so that nothing is newer than its savepoint; a stop
            # that fails starts it again (Flink's CheckpointCoordinator, StopWithSavepointTerminationManager).
            self._in_job(cluster, leader.checkpoint_interval, lambda: self._checkpoint(cluster))
            return
        snapshot = self._snapshot(cluster, job, lambda number: checkpoint_path(leader, number))
        for path in cluster.pointers:
            if path != snapshot.path and f"/{cluster.job_id}/chk-" in path:
                self.snapshots.pop(path, None)
        cluster.pointers = (snapshot.path,)
        job.latest, job.latest_at = snapshot, self.now
        self._in_job(cluster, leader.checkpoint_interval, lambda: self._checkpoint(cluster))

    def _snapshot(self, cluster: Cluster, job: FakeJob, path_of: Callable[[int], str]) -> FakeSnapshot:
        job.advance_to(self.now)
        number = cluster.next_checkpoint
        cluster.next_checkpoint += 1
        snapshot = FakeSnapshot(path_of(number), cluster.uid, cluster.generation, number, job.position)
        self.snapshots[snapshot.path] = snapshot
        job.completed += 1
        return snapshot

    def _saved(self, cluster: Cluster, trigger: Trigger, *, stop: bool) -> None:
        job = cluster.job
        assert job is not None
        if self.fail_savepoints > 0:
            self.fail_savepoints -= 1
            job.stopping = None
            job.operations[trigger.trigger_id] = Operation(OperationState.FAILED, error="java.io.IOException: no space")
            return
        path = savepoint_path(cluster.job_id, trigger.trigger_id, trigger.directory)
        self._snapshot(cluster, job, lambda _: path)
        if not stop:
            job.operations[trigger.trigger_id] = Operation(OperationState.COMPLETED, path=path)
            return
        job.running_since = None
        self._in_job(cluster, self.timing.stop, lambda: self._stopped(cluster, trigger, path))

    def _stopped(self, cluster: Cluster, trigger: Trigger, path: str) -> None:
        job = cluster.job
        assert job is not None
        if self.break_stops > 0:
            self.break_stops -= 1
            error = f"StopWithSavepointStoppingException: A savepoint has been created at: {path}, but the job failed"
            job.operations[trigger.trigger_id] = Operation(OperationState.FAILED, path=path, error=error)
            self._end(cluster, JobState.FAILED, error)
            return
        job.operations[trigger.trigger_id] = Operation(OperationState.COMPLETED, path=path)
        self._end(cluster, JobState.FINISHED)

    def _end(self, cluster: Cluster, state: JobState, failure: str | None = None) -> None:
        """Globally terminal: HA data goes, the result stays; so does the last checkpoint, unless the job finished."""
        job = cluster.job
        assert job is not None
        job.advance_to(self.now)
        job.state, job.running_since, job.failure = state, None, failure
        job.epoch += 1
        if cluster.session is None:
            self._store_result(cluster, state)
        else:
            # Until then a JobManager that takes over recovers the job and runs it again.
            self._in_job(cluster, self.timing.result, lambda: self._store_result(cluster, state))
            for other in self._others(cluster, waiting=True):
                self._deploy(other)

    def _store_result(self, cluster: Cluster, state: JobState) -> None:
        if state is JobState.FINISHED:
            for path in cluster.pointers:
                self.snapshots.pop(path, None)
        cluster.pointers, cluster.accepted = (), False
        self.results[cluster.cluster_id, cluster.job_id] = state

    def _interrupt(self, cluster: Cluster, why: str) -> None:
        """Tasks are lost: Flink goes back to the latest checkpoint as soon as there are slots."""
        job = cluster.job
        if job is None or job.state is not JobState.RUNNING:
            return
        job.state, job.running_since, job.failure = JobState.RESTARTING, None, why
        job.position = job.latest.position if job.latest else job.restored_position
        job.restarts += 1
        job.epoch += 1
        job.stopping = None
        job.operations = {
            key: NOT_EXECUTING if found.state is OperationState.IN_PROGRESS else found
            for key, found in job.operations.items()
        }
        self._deploy(cluster)

    def _exit(self, task_id: str, code: int) -> None:
        self.task_dead(task_id)
        if self.on_exit is not None:
            self.on_exit(task_id, code)

    def _leader(self, cluster: Cluster) -> Process:
        """The process that has the job; for a job of a session its program, which says the same."""
        if cluster.program is not None:
            return cluster.program
        assert cluster.leader is not None
        return cluster.job_managers[cluster.leader]

    def _others(self, cluster: Cluster, *, waiting: bool = False) -> list[Cluster]:
        """Jobs of the same session that have slots, or that wait for them."""
        found = [job for job in cluster.host.jobs() if job is not cluster and job.job is not None]
        states = (JobState.CREATED, JobState.RESTARTING) if waiting else (JobState.RUNNING, JobState.CANCELLING)
        return [job for job in found if job.job is not None and job.job.state in states]

    def _parallelism(self, cluster: Cluster) -> int:
        return cluster.requested or self._leader(cluster).parallelism

    def _rescaled(self, cluster: Cluster) -> None:
        """The adaptive scheduler restarts the tasks from the latest checkpoint; nobody counts that as a failure."""
        if cluster.job is not None and cluster.job.state is not JobState.RUNNING:
            self._deploy(cluster)  # it waits for slots, and may need fewer now
            return
        self._interrupt(cluster, "rescaled")
        if cluster.job is not None:
            cluster.job.restarts -= 1

    def _used(self, cluster: Cluster) -> list[Process]:
        """The TaskManagers that a running job has slots of: jobs take them in the order of their submission."""
        before = 0
        for other in cluster.host.jobs():
            if other is cluster:
                break
            before += self._parallelism(other) if other in self._others(cluster) else 0
        slots = [process for process in cluster.registered(self.now, self.timing) for _ in range(process.slots)]
        mine = slots[before : before + self._parallelism(cluster)]
        return list({process.task_id: process for process in mine}.values())

    def _running_cluster(self, job_id: str) -> Cluster:
        return next(cluster for cluster in self.all_jobs() if cluster.job_id == job_id and cluster.active)

    def _after(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._numbers), event))

    def _in_job(self, cluster: Cluster, delay: float, event: Callable[[], None]) -> None:
        """Like `_after`, but nothing happens if the job was interrupted, ended or lost in between."""
        job = cluster.job
        assert job is not None
        epoch = job.epoch

        def still() -> None:
            if cluster.job is job and job.epoch == epoch:
                event()

        self._after(delay, still)
