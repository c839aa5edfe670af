"""Ports that are measured: the same object, with every call counted and timed.

The loop does not know of it, and an error passes through as it is. Labels are bounded: method names
of a port, and names of the exceptions that `reconciler.ports` draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

from reconciler.app.monitoring.instruments import Instruments
from reconciler.ports import Cluster, Fenced, Flink, PortError, Store

P = TypeVar("P")
Called = Callable[[str, tuple[Any, ...], str], None]
"""Told of each call that ended: its name, its arguments and its result."""


def measured_store(store: Store, instruments: Instruments) -> Store:
    def called(_: str, __: tuple[Any, ...], result: str) -> None:
        if result == Fenced.__name__:
            instruments.fence_rejections.inc()

    return _measured(store, "zookeeper", instruments, called)


def measured_flink(flink: Flink, instruments: Instruments) -> Flink:
    return _measured(flink, "flink", instruments, lambda *_: None)


class Offers(Protocol):
    """Told of what became of offers."""

    def offers_used(self, offer_ids: Sequence[str], tasks: int) -> None: ...

    def offers_declined(self, offer_ids: Sequence[str], refuse_s: float) -> None: ...


def measured_cluster(cluster: Cluster, instruments: Instruments, offers: Offers) -> Cluster:

    def called(call: str, args: tuple[Any, ...], result: str) -> None:
        if result == "ok" and call == "decline":
            offers.offers_declined(args[0], args[1])
        elif result == "ok" and call == "accept":
            offers.offers_used(args[0], len(args[1]))

    return _measured(cluster, "mesos", instruments, called)


def _measured(port: P, name: str, instruments: Instruments, called: Called) -> P:
    return cast(P, _Measured(port, name, instruments, called))


class _Measured:
    def __init__(self, port: object, name: str, instruments: Instruments, called: Called) -> None:
        self._port = port
        self._name = name
        self._instruments = instruments
        self._called = called

    def __getattr__(self, call: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._port, call)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = "ok"
            try:
                return method(*args, **kwargs)
            except Exception as error:
                result = _name(error)
                raise
            finally:
                self._instruments.call_seconds.labels(self._name, call).observe(time.perf_counter() - started)
                self._instruments.calls.labels(self._name, call, result).inc()
                self._called(call, args, result)

        self.__dict__[call] = timed
        return timed


def _name(error: Exception) -> str:
    """The exception that `ports` draws; what is below it is an adapter's own affair."""
    if not isinstance(error, PortError):
        return "Mistake"
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == PortError.__module__)
