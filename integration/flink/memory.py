"""How the total memory of a Flink process is divided, computed as Flink itself does.

Weir starts the JVMs directly, so the work of Flink's start scripts (BashJavaUtils) is done here:
the same numbers, without a second JVM. The rules are those of the Flink docs "Set up TaskManager
Memory" and "Set up JobManager Memory" (TaskExecutorProcessUtils, JobManagerProcessUtils); the tests
compare with what BashJavaUtils prints.

Only the total process memory comes from the spec (`memory`); fractions and sizes of the parts may
be set in `flinkConfiguration`.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from reconciler.model.spec import JobSpec

MIB = 1 << 20
MIN_JOB_MANAGER_HEAP = 128 * MIB
"""Below this Flink warns that the JobManager may not work (`JobManagerOptions.MIN_JVM_HEAP_SIZE`)."""

_SIZE = re.compile(r"^\s*(\d+)\s*([a-zA-Z]*)\s*$")
_UNITS = {
    "": 1, "b": 1, "bytes": 1,
    "k": 1 << 10, "kb": 1 << 10, "kibibytes": 1 << 10,
    "m": 1 << 20, "mb": 1 << 20, "mebibytes": 1 << 20,
    "g": 1 << 30, "gb": 1 << 30, "gibibytes": 1 << 30,
    "t": 1 << 40, "tb": 1 << 40, "tebibytes": 1 << 40,
}  # fmt: skip
_DEPRECATED = {
    "taskmanager.memory.managed.size": "taskmanager.memory.size",
    "taskmanager.memory.network.fraction": "taskmanager.network.memory.fraction",
    "taskmanager.memory.network.min": "taskmanager.network.memory.min",
    "taskmanager.memory.network.max": "taskmanager.network.memory.max",
}
_UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class TaskManagerMemory:
    """Parts of a TaskManager's memory in bytes."""

    framework_heap: int
    task_heap: int
    framework_off_heap: int
    task_off_heap: int
    network: int
    managed: int
    metaspace: int
    overhead: int

    @property
    def total(self) -> int:
        heap = self.framework_heap + self.task_heap
        return heap + self.direct + self.managed + self.metaspace + self.overhead

    @property
    def direct(self) -> int:
        return self.framework_off_heap + self.task_off_heap + self.network

    def jvm_options(self) -> tuple[str, ...]:
        heap = self.framework_heap + self.task_heap
        return (
            f"-Xmx{heap}",
            f"-Xms{heap}",
            f"-XX:MaxDirectMemorySize={self.direct}",
            f"-XX:MaxMetaspaceSize={self.metaspace}",
        )

    def configuration(self) -> dict[str, str]:
        """What TaskManagerRunner requires when no start script has computed it."""
        prefix = "taskmanager.memory"
        return {
            f"{prefix}.framework.heap.size": f"{self.framework_heap}b",
            f"{prefix}.task.heap.size": f"{self.task_heap}b",
            f"{prefix}.framework.off-heap.size": f"{self.framework_off_heap}b",
            f"{prefix}.task.off-heap.size": f"{self.task_off_heap}b",
            f"{prefix}.network.min": f"{self.network}b",
            f"{prefix}.network.max": f"{self.network}b",
            f"{prefix}.managed.size": f"{self.managed}b",
            f"{prefix}.jvm-metaspace.size": f"{self.metaspace}b",
            f"{prefix}.jvm-overhead.min": f"{self.overhead}b",
            f"{prefix}.jvm-overhead.max": f"{self.overhead}b",
        }


@dataclass(frozen=True, slots=True)
class JobManagerMemory:
    """Parts of a JobManager's memory in bytes."""

    heap: int
    off_heap: int
    metaspace: int
    overhead: int
    limit_direct: bool = False

    @property
    def total(self) -> int:
        return self.heap + self.off_heap + self.metaspace + self.overhead

    def jvm_options(self) -> tuple[str, ...]:
        direct = (f"-XX:MaxDirectMemorySize={self.off_heap}",) if self.limit_direct else ()
        return (f"-Xmx{self.heap}", f"-Xms{self.heap}", *direct, f"-XX:MaxMetaspaceSize={self.metaspace}")

    def configuration(self) -> dict[str, str]:
        prefix = "jobmanager.memory"
        return {
            f"{prefix}.heap.size": f"{self.heap}b",
            f"{prefix}.off-heap.size": f"{self.off_heap}b",
            f"{prefix}.jvm-metaspace.size": f"{self.metaspace}b",
            f"{prefix}.jvm-overhead.min": f"{self.overhead}b",
            f"{prefix}.jvm-overhead.max": f"{self.overhead}b",
        }


def parse_size(key: str, text: str) -> int:
    """Bytes of a Flink memory size ("64mb", "1g", "1024"); a bare number is bytes, as in Flink."""
    match = _SIZE.match(text)
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f'{key}: "{text}" is not a memory size; write a whole number and a unit, such as "64mb"')
    return int(match[1]) * _UNITS[match[2].lower()]


def task_manager_memory(process: int, config: Mapping[str, str]) -> TaskManagerMemory:
    """Divide `process` bytes; ValueError, with the numbers, when the parts do not fit."""
    keys = _Keys("taskmanager", config)
    metaspace = keys.size("jvm-metaspace.size", 256 * MIB)
    framework_heap = keys.size("framework.heap.size", 128 * MIB)
    framework_off_heap = keys.size("framework.off-heap.size", 128 * MIB)
    task_off_heap = keys.size("task.off-heap.size", 0)
    task_heap = keys.optional_size("task.heap.size")
    managed = keys.optional_size("managed.size")
    network_range = keys.share("network", 0.1, 64 * MIB, _UNBOUNDED)
    overhead_range = keys.share("jvm-overhead", 0.1, 192 * MIB, 1024 * MIB)
    fixed = framework_heap + framework_off_heap + task_off_heap

    if task_heap is not None and managed is not None:
        without_network = fixed + task_heap + managed
        network = network_range.of_rest(without_network)
        overhead = process - metaspace - without_network - network
        if overhead < 0:
            raise keys.too_small(process, process - overhead, "the configured parts, network memory and metaspace")
        overhead_range.check(overhead)
        return TaskManagerMemory(
            framework_heap, task_heap, framework_off_heap, task_off_heap, network, managed, metaspace, overhead
        )

    overhead = overhead_range.of(process)
    flink = process - metaspace - overhead
    if flink < 0:
        raise keys.too_small(process, metaspace + overhead, "metaspace and JVM overhead alone")
    if managed is None:
        managed = _times(flink, keys.fraction("managed.fraction", 0.4))
    if task_heap is not None:
        network = flink - fixed - task_heap - managed
        if network < 0:
            raise keys.too_small(process, process - network, "heap, off-heap and managed memory")
        network_range.check(network)
    else:
        network = network_range.of(flink)
        task_heap = flink - fixed - managed - network
        if task_heap < 0:
            raise keys.too_small(process, process - task_heap, "framework, managed and network memory")
    return TaskManagerMemory(
        framework_heap, task_heap, framework_off_heap, task_off_heap, network, managed, metaspace, overhead
    )


def job_manager_memory(process: int, config: Mapping[str, str]) -> JobManagerMemory:
    """Divide `process` bytes; ValueError, with the numbers, when the parts do not fit."""
    keys = _Keys("jobmanager", config)
    metaspace = keys.size("jvm-metaspace.size", 256 * MIB)
    off_heap = keys.size("off-heap.size", 128 * MIB)
    heap = keys.optional_size("heap.size")
    limit = config.get("jobmanager.memory.enable-jvm-direct-memory-limit", "false").strip().lower() == "true"
    overhead_range = keys.share("jvm-overhead", 0.1, 192 * MIB, 1024 * MIB)
    if heap is not None:
        overhead = process - metaspace - heap - off_heap
        if overhead < 0:
            raise keys.too_small(process, process - overhead, "heap, off-heap memory and metaspace")
        overhead_range.check(overhead)
        return JobManagerMemory(heap, off_heap, metaspace, overhead, limit)
    overhead = overhead_range.of(process)
    heap = process - metaspace - overhead - off_heap
    if heap < 0:
        raise keys.too_small(process, process - heap, "off-heap memory, metaspace and JVM overhead alone")
    return JobManagerMemory(heap, off_heap, metaspace, overhead, limit)


def check_memory(spec: JobSpec) -> tuple[JobManagerMemory, TaskManagerMemory]:
    """Refuse a spec whose processes could not start: ValueError that says how much is missing."""
    job_manager = job_manager_memory(spec.job_manager.memory * MIB, spec.flink_configuration)
    if job_manager.heap < MIN_JOB_MANAGER_HEAP:
        missing = math.ceil((MIN_JOB_MANAGER_HEAP - job_manager.heap) / MIB)
        raise ValueError(
            f"jobManager.memory {spec.job_manager.memory}m leaves a heap of {job_manager.heap // MIB}m, Flink needs "
            f"{MIN_JOB_MANAGER_HEAP // MIB}m; set jobManager.memory to at least {spec.job_manager.memory + missing}m"
        )
    return job_manager, task_manager_memory(spec.task_manager.memory * MIB, spec.flink_configuration)


@dataclass(frozen=True, slots=True)
class _Share:
    """A part that is a fraction of something, within bounds (Flink's RangeFraction)."""

    key: str
    fraction: float
    least: int
    most: int

    def of(self, base: int) -> int:
        return max(self.least, min(self.most, _times(base, self.fraction)))

    def of_rest(self, rest: int) -> int:
        """The part whose share of (part + rest) is the fraction."""
        return max(self.least, min(self.most, _times(rest, self.fraction / (1 - self.fraction))))

    def check(self, size: int) -> None:
        if not self.least <= size <= self.most:
            most = "any" if self.most == _UNBOUNDED else f"{self.most // MIB}m"
            raise ValueError(
                f"{self.key}: the other parts leave {size // MIB}m, which is outside {self.least // MIB}m to {most}; "
                f"change {self.key}.min or .max, or the sizes of the other parts"
            )


@dataclass(frozen=True, slots=True)
class _Keys:
    """Reads the memory keys of one process kind; its errors name the key or the field of the spec."""

    process: str
    config: Mapping[str, str]

    def _get(self, name: str) -> tuple[str, str | None]:
        key = f"{self.process}.memory.{name}"
        return key, self.config.get(key, self.config.get(_DEPRECATED.get(key, key)))

    def optional_size(self, name: str) -> int | None:
        key, text = self._get(name)
        return None if text is None else parse_size(key, text)

    def size(self, name: str, default: int) -> int:
        found = self.optional_size(name)
        return default if found is None else found

    def fraction(self, name: str, default: float) -> float:
        """Flink keeps fractions as 32-bit floats; its numbers come out only with the same rounding."""
        key, text = self._get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            raise ValueError(f'{key}: "{text}" is not a number') from None
        if not 0 <= value < 1:
            raise ValueError(f"{key}: {text} is not a fraction; it has to be at least 0 and below 1")
        single: float = struct.unpack("f", struct.pack("f", value))[0]
        return single

    def share(self, name: str, fraction: float, least: int, most: int) -> _Share:
        low, high = self.size(f"{name}.min", least), self.size(f"{name}.max", most)
        key = f"{self.process}.memory.{name}"
        if low > high:
            raise ValueError(f"{key}.min ({low // MIB}m) is above {key}.max ({high // MIB}m)")
        return _Share(key, self.fraction(f"{name}.fraction", fraction), low, high)

    def too_small(self, process: int, needed: int, what: str) -> ValueError:
        part = "taskManager" if self.process == "taskmanager" else "jobManager"
        return ValueError(
            f"{part}.memory {process // MIB}m is too small: {what} need {math.ceil(needed / MIB)}m; raise "
            f"{part}.memory or lower {self.process}.memory.* in flinkConfiguration"
        )


def _times(size: int, factor: float) -> int:
    """Flink's MemorySize.multiply: exact decimal product, rounded down."""
    return int(Decimal(size) * Decimal(repr(factor)))
