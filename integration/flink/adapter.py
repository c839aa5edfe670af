"""`ports.Flink` on the REST API, ZooKeeper and storage.

Everything that changes something verifies first that the port answers for this generation's job:
ports are reused, and another JobManager may sit where ours was (fault 52).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from kazoo.client import KazooClient

from integration.flink import ha, observe, operations, session, storage
from integration.flink.gate import key
from integration.flink.ha import HaData, ZooKeeperSilent
from integration.flink.observe import Checkpoints
from integration.flink.rest import NotFound, NotServing, RestClient
from integration.flink.storage import Storage, Storages
from integration.flink.versions import flink_version
from reconciler.model.decision import FindRestorePoint, OpenGate
from reconciler.model.observation import FlinkObservation, JobState, Operation, OperationState, RestoreView
from reconciler.ports import FlinkRefused, FlinkTarget, FlinkUnreachable, JobSubmission, Trigger

log = structlog.get_logger()

_NO_DETAILS_YET = frozenset({JobState.INITIALIZING, JobState.CREATED})
_TERMINAL = re.compile(rb'"(?:application-status|status|state)"\s*:\s*"([A-Z]+)"')
_TERMINAL_NAMES = {"SUCCEEDED": "FINISHED", "FINISHED": "FINISHED", "FAILED": "FAILED", "CANCELED": "CANCELED"}


class _Stranger(FlinkRefused):
    """Another JobManager answers at the address."""


class FlinkAdapter:
    """One object for all jobs; safe to use from several threads.

    `zookeeper` is a started client that its owner closes. `storage_root` is the operator's durable
    directory, as given to `FlinkSettings`.
    """

    def __init__(
        self,
        zookeeper: KazooClient,
        storage_root: str,
        *,
        zookeeper_root: str = "/flink",
        rest: RestClient | None = None,
        storages: Storage | None = None,
    ) -> None:
        self._rest = rest or RestClient()
        self._ha = HaData(zookeeper, zookeeper_root)
        self._root = storage_root.rstrip("/")
        self._storage = storages or Storages()

    def close(self) -> None:
        self._rest.close()

    # observing

    def observe(self, target: FlinkTarget, triggers: Sequence[Trigger], now: float) -> FlinkObservation:
        """Five requests for a healthy job, and one for each trigger that is asked about."""
        return self._guarded(target, now, lambda leader: self._observe(target, triggers, now, leader))

    def observe_session(self, target: FlinkTarget, now: float) -> FlinkObservation:
        """Two requests."""
        return self._guarded(target, now, lambda leader: session.observed(self._rest, target, now, leader))

    def _guarded(
        self, target: FlinkTarget, now: float, look: Callable[[str | None], FlinkObservation]
    ) -> FlinkObservation:
        leader = self._leader_url(target)
        try:
            return look(leader)
        except NotServing as error:
            return FlinkObservation(now, reachable=True, leader_url=leader, error=str(error))
        except (FlinkUnreachable, FlinkRefused) as error:
            return FlinkObservation(now, reachable=False, leader_url=leader, error=str(error))
        except storage.StorageError as error:
            return FlinkObservation(now, reachable=False, leader_url=leader, error=f"storage: {error}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("flink.answer_not_understood", url=target.url, job_id=target.job_id, error=repr(error))
            return FlinkObservation(
                now,
                reachable=False,
                leader_url=leader,
                error=f"{target.url} gave an answer that is not Flink's: {error!r}",
            )

    def _observe(
        self, target: FlinkTarget, triggers: Sequence[Trigger], now: float, leader: str | None
    ) -> FlinkObservation:
        listed = self._state(target)
        if listed is None:
            return FlinkObservation(now, reachable=True, leader_url=leader)
        operations = {trigger.trigger_id: self._operation(target, trigger) for trigger in triggers}
        known = FlinkObservation(
            at=now,
            reachable=True,
            job_id=target.job_id,
            job_state=listed,
            leader_url=leader,
            operations=operations,
        )
        try:
            return self._details(target, known)
        except (FlinkUnreachable, FlinkRefused):
            # A job that failed before it had a plan is listed, but its details are an HTTP 500 for
            # ever; of one that is being initialised they are so for a moment.
            if listed.terminal or listed in _NO_DETAILS_YET:
                return replace(known, failure=self._failure(target, listed))
            raise

    def _details(self, target: FlinkTarget, known: FlinkObservation) -> FlinkObservation:
        job = f"/jobs/{target.job_id}"
        details = observe.vertices(self._rest.get(target.url, job))
        checkpoints = self._checkpoints(target)
        registered, busy = observe.task_managers(self._rest.get(target.url, "/taskmanagers"))
        restarts = observe.restarts(self._rest.get(target.url, f"{job}/metrics?get=numRestarts"))
        return replace(
            known,
            job_state=details.state,
            vertices_running=details.running,
            parallelism=details.parallelism,
            task_managers=registered,
            busy_task_managers=busy,
            completed_checkpoints=checkpoints.completed,
            latest_checkpoint_id=checkpoints.latest_id,
            latest_checkpoint_path=checkpoints.latest_path,
            latest_checkpoint_at=checkpoints.latest_at,
            restored_from=checkpoints.restored_from,
            failure=None if details.running else self._failure(target, details.state),
            flink_restarts=restarts,
        )

    def _checkpoints(self, target: FlinkTarget) -> Checkpoints:
        """A job without checkpointing is answered with 404."""
        try:
            body = self._rest.get(target.url, f"/jobs/{target.job_id}/checkpoints")
        except NotFound:
            return Checkpoints()
        return observe.checkpoints(body, target.job_id)

    def _failure(self, target: FlinkTarget, state: JobState) -> str | None:
        """The root exception; of a job that never got as far as to have tasks only its result knows it."""
        job = f"/jobs/{target.job_id}"
        try:
            found = observe.failure(self._rest.get(target.url, f"{job}/exceptions?maxExceptions=1"))
            if found is None and state is JobState.FAILED:
                found = observe.result_failure(self._rest.get(target.url, f"{job}/execution-result"))
        except (FlinkUnreachable, FlinkRefused):
            return None
        return found

    def _state(self, target: FlinkTarget) -> JobState | None:
        """The job's state in the list of jobs; None when the right JobManager does not list it (yet).

        The list is asked first because a request for a job that is not there yet makes the
        JobManager log an error with a stack trace.
        """
        jobs = observe.listed(self._rest.get(target.url, "/jobs/overview"))
        if target.job_id in jobs:
            return jobs[target.job_id]
        if jobs and not target.shared:
            raise _Stranger(f"{target.url} is the JobManager of another job ({', '.join(sorted(jobs)[:3])})")
        cluster = session.cluster_of(self._rest, target.url)
        if cluster != target.cluster_id:
            raise _Stranger(f"{target.url} is the JobManager of another cluster ({cluster})")
        return None

    def _operation(self, target: FlinkTarget, trigger: Trigger) -> Operation:
        path = f"/jobs/{target.job_id}/savepoints/{trigger.trigger_id}"
        try:
            found = observe.operation(self._rest.get(target.url, path))
        except NotFound as error:
            found = Operation(OperationState.UNKNOWN, error=str(error))
        if found.state is OperationState.IN_PROGRESS:
            return found
        try:
            self._storage.require_root(self._root)
            found = self._from_directory(trigger, found) if found.path is None else found
            checkpoint = storage.checkpoint_id(self._storage, found.path) if found.path is not None else 0
        except storage.StorageError as error:
            # Nobody can say whether it was written, or which checkpoints are newer than it is (S2).
            unknown = found.state is OperationState.UNKNOWN
            state = OperationState.UNKNOWN if unknown else OperationState.IN_PROGRESS
            return Operation(state, error=f"{found.error or found.path}; the storage does not tell: {error}")
        return replace(found, checkpoint_id=checkpoint)

    def _from_directory(self, trigger: Trigger, found: Operation) -> Operation:
        """Flink forgets results; the trigger's own directory does not (faults 40, 63)."""
        saved = storage.savepoints(self._storage, trigger.directory)
        if not saved:
            return found
        if found.state is OperationState.UNKNOWN:
            return Operation(OperationState.COMPLETED, path=saved[-1][1])
        return Operation(found.state, path=saved[-1][1], error=found.error)

    def _leader_url(self, target: FlinkTarget) -> str | None:
        try:
            return self._ha.leader_url(target.cluster_id)
        except ZooKeeperSilent:
            return None

    # acting

    def stop_with_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None:
        """Idempotent by trigger id: Flink answers a repeated one with the first one's operation."""
        self._require_running(target)
        body = {
            "targetDirectory": trigger.directory,
            "drain": False,
            "formatType": "CANONICAL",
            "triggerId": trigger.trigger_id,
        }
        self._rest.post(target.url, f"/jobs/{target.job_id}/stop", body)
        log.info("flink.stop_requested", job_id=target.job_id, trigger_id=trigger.trigger_id)

    def trigger_savepoint(self, target: FlinkTarget, trigger: Trigger) -> None:
        """Idempotent by trigger id."""
        self._require_running(target)
        body = {
            "target-directory": trigger.directory,
            "cancel-job": False,
            "formatType": "CANONICAL",
            "triggerId": trigger.trigger_id,
        }
        self._rest.post(target.url, f"/jobs/{target.job_id}/savepoints", body)
        log.info("flink.savepoint_requested", job_id=target.job_id, trigger_id=trigger.trigger_id)

    def cancel(self, target: FlinkTarget) -> None:
        """Idempotent: a job that is terminal already is left as it is."""
        if self._require_listed(target).terminal:
            return
        self._rest.patch(target.url, f"/jobs/{target.job_id}?mode=cancel")
        log.info("flink.cancel_requested", job_id=target.job_id)

    def submit(self, target: FlinkTarget, submission: JobSubmission) -> None:
        """Idempotent by job id."""
        try:
            if self._state(target) is None:
                session.submit(self._rest, target, submission)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FlinkUnreachable(f"{target.url} gave an answer that is not Flink's: {error!r}") from error

    def forbid(self, job_id: str, cluster_id: str, version: str) -> None:
        try:
            session.plant(self._storage, f"{self._results(cluster_id)}/{job_id}.json", job_id)
            accepted = self._ha.accepted(cluster_id, job_id, flink_version(version).graphs_node)
        except (storage.StorageError, ZooKeeperSilent) as error:
            raise FlinkUnreachable(f"whether {cluster_id} can run job {job_id} is not known: {error}") from error
        if accepted:
            raise FlinkRefused(f"{cluster_id} has accepted job {job_id} after all")

    def open_gate(self, gate: OpenGate) -> None:
        wanted = key(gate.restore, allow_non_restored_state=gate.allow_non_restored_state)
        try:
            found = self._ha.open_gate(gate.cluster_id, wanted)
        except ZooKeeperSilent as error:
            raise FlinkUnreachable(f"whether the gate of {gate.cluster_id} is open is not known: {error}") from error
        if found is None:
            raise FlinkUnreachable(f"no JobManager of {gate.cluster_id} waits yet")
        if found != wanted:
            raise FlinkRefused(f"the gate of {gate.cluster_id} was opened with {found.decode('utf-8', 'replace')!r}")
        log.info("flink.gate_opened", job_id=gate.job_id, cluster_id=gate.cluster_id, restore=gate.restore)

    def rescale(self, target: FlinkTarget, parallelism: int) -> None:
        self._require_running(target)
        operations.rescale(self._rest, target, parallelism)

    def dispose(self, target: FlinkTarget, path: str) -> None:
        try:
            operations.dispose(self._rest, self._storage, target, path)
        except storage.StorageError as error:
            raise FlinkUnreachable(f"storage: {error}") from error

    def discard(self, path: str) -> None:
        """`_metadata` first: what is left of a savepoint must never look like a complete one."""
        directory, _, name = path.rstrip("/").rpartition("/")
        if not name.startswith("savepoint-"):
            raise FlinkRefused(f"{path} is not the directory of a savepoint")
        try:
            self._storage.require_root(directory)
            self._storage.remove(f"{directory}/{name}/{storage.METADATA}")
            self._storage.remove(f"{directory}/{name}")
        except storage.StorageError as error:
            raise FlinkUnreachable(f"storage: {error}") from error
        log.info("flink.savepoint_discarded", path=path)

    def _require_running(self, target: FlinkTarget) -> None:
        state = self._require_listed(target)
        if state.terminal:
            raise FlinkRefused(f"job {target.job_id} is {state} already")

    def _require_listed(self, target: FlinkTarget) -> JobState:
        try:
            state = self._state(target)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FlinkUnreachable(f"{target.url} gave an answer that is not Flink's: {error!r}") from error
        if state is None:
            raise FlinkUnreachable(f"{target.url} does not list job {target.job_id} yet")
        return state

    # what an ended generation left behind

    def find_restore_point(self, what: FindRestorePoint) -> RestoreView:
        try:
            return self._find(what)
        except (storage.StorageError, ZooKeeperSilent) as error:
            log.warning("flink.restore_point_unknown", job_id=what.job_id, error=str(error))
            return RestoreView(what.generation, False, what.job_id, asked=what.paths, error=str(error))

    def _find(self, what: FindRestorePoint) -> RestoreView:
        self._storage.require_root(self._root)
        # First of all: what is stored after a job has ended is all that it left.
        terminal = self._terminal(what.cluster_id, what.job_id)
        graphs = flink_version(what.flink_version).graphs_node if what.flink_version else None
        accepted = graphs is not None and self._ha.accepted(what.cluster_id, what.job_id, graphs)
        pointers = self._ha.checkpoints(what.cluster_id, what.job_id)
        own = f"{storage.normal(what.checkpoint_directory)}/{what.job_id}"
        named = [path for pointer in pointers or () if (path := self._own_path(pointer, own)) is not None]
        newest_id, newest_path = self._newest(named, own) or (None, None)
        lost = storage.names_newer(named, newest_id)
        if lost and self._ha.checkpoints(what.cluster_id, what.job_id) != pointers:
            lost = False  # a JobManager that still runs replaced what was named by a newer one in between
        saved = [found for below in what.trigger_directories for found in storage.savepoints(self._storage, below)]
        return RestoreView(
            generation=what.generation,
            answered=True,
            job_id=what.job_id,
            ha_metadata=pointers is not None,
            checkpoint_id=newest_id,
            checkpoint_path=newest_path,
            checkpoint_lost=lost,
            savepoints=tuple(sorted(saved)),
            missing=tuple(path for path in what.paths if not storage.is_complete(self._storage, path)),
            asked=what.paths,
            accepted=accepted,
            terminal=terminal,
        )

    def _newest(self, named: Sequence[str], directory: str) -> tuple[int, str] | None:
        """(id, path) of the newest complete checkpoint, named by the HA data or only stored."""
        candidates = [storage.newest_checkpoint(self._storage, directory)]
        candidates += [self._own_checkpoint(path) for path in named]
        return max((found for found in candidates if found is not None), default=None)

    def _own_path(self, pointer: bytes, directory: str) -> str | None:
        """The checkpoint that a pointer names, if this generation wrote it.

        Right after a restore the pointer names the restore point itself, which is not newer than what is
        known already.
        """
        path = ha.resolve(self._storage, pointer)
        return path if path is not None and storage.normal(path).rpartition("/")[0] == directory else None

    def _own_checkpoint(self, path: str) -> tuple[int, str] | None:
        number = storage.checkpoint_number(path)
        return (number, storage.normal(path)) if number and storage.is_complete(self._storage, path) else None

    def _terminal(self, cluster_id: str, job_id: str) -> str | None:
        """The state in the job result store (Flink docs, "High Availability": JobResultStore)."""
        for name in (f"{job_id}.json", f"{job_id}_DIRTY.json"):
            uri = f"{self._results(cluster_id)}/{name}"
            data = self._storage.read(uri, 1 << 20)
            match = _TERMINAL.search(data) if data else None
            if match:
                return _TERMINAL_NAMES.get(match[1].decode())
        return None

    def clean_up(self, job_id: str, cluster_id: str) -> None:
        """Storage after ZooKeeper: pointers to files that are gone would make a JobManager exit."""
        try:
            self._ha.remove(cluster_id)
            for uri in (f"{self._root}/ha/{cluster_id}", self._results(cluster_id), self._applications(cluster_id)):
                self._storage.remove(uri)
        except (storage.StorageError, ZooKeeperSilent) as error:
            raise FlinkUnreachable(f"HA data of {cluster_id} is not cleaned up: {error}") from error
        log.info("flink.cleaned_up", job_id=job_id, cluster_id=cluster_id)

    def _results(self, cluster_id: str) -> str:
        return f"{self._root}/ha/job-result-store/{cluster_id}"

    def _applications(self, cluster_id: str) -> str:
        return f"{self._root}/ha/application-result-store/{cluster_id}"
