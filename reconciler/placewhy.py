"""Why a task was not placed: one sentence with numbers, for the status and the log.

"needs 4 cpus, 1024 MiB and 2 ports; best offer has 2 cpus on agent3"
"needs 1 cpus, 1024 MiB and 2 ports; constraint hostname UNIQUE refuses a1 and a2 (1 placed already)"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from reconciler.model.resources import Candidate, TaskRequest

REFUSED_SHOWN = 3
"""How many agents a sentence names."""


@dataclass(slots=True)
class Refusals:
    """What every agent that made an offer lacks, or is refused for."""

    lacking: list[tuple[Candidate, str]] = field(default_factory=list)
    """Not refused, but too small; with the words for it."""
    refused: list[tuple[Candidate, tuple[str, str]]] = field(default_factory=list)
    """Large enough, but refused: by what, and in which words."""
    neither: list[tuple[Candidate, tuple[str, str]]] = field(default_factory=list)
    """Too small, and refused as well."""

    def note(self, agent: Candidate, lacking: str | None, refused: tuple[str, str] | None) -> None:
        if lacking is not None and refused is not None:
            self.neither.append((agent, refused))
        elif lacking is not None:
            self.lacking.append((agent, lacking))
        elif refused is not None:
            self.refused.append((agent, refused))


def why_not(request: TaskRequest, refusals: Refusals) -> str:
    """What is needed, and what the agents that made offers have, or are refused for."""
    needs = f"needs {_needs(request)}"
    if not refusals.lacking and not refusals.refused and not refusals.neither:
        role = "" if request.mesos_role == "*" else f" for role {request.mesos_role}"
        return f"{needs}; no offer has arrived{role}"
    if not refusals.refused and not refusals.lacking:
        return f"{needs}; {_constraints(refusals.neither)}; {_best(request, [agent for agent, _ in refusals.neither])}"
    if not refusals.refused:
        return f"{needs}; {_best(request, [agent for agent, _ in refusals.lacking])}"
    sentence = f"{needs}; {_constraints(refusals.refused)}"
    if refusals.lacking:
        agent, words = max(refusals.lacking, key=lambda each: (each[0].cpus, each[0].mem_mb, each[0].hostname))
        sentence += f"; {agent.hostname} is allowed, but {words}"
    return sentence


def fits(request: TaskRequest, agent: Candidate) -> bool:
    """Whether the agent has enough of everything: `shortage` without words, for the many agents that have."""
    return (
        round(agent.cpus * 1000) >= round(request.cpus * 1000)
        and round(agent.mem_mb * 1000) >= round(request.mem_mb * 1000)
        and port_count(agent.ports) >= request.ports
        and round(agent.disk_mb * 1000) >= round(request.disk_mb * 1000)
        and round(agent.gpus * 1000) >= round(request.gpus * 1000)
    )


def shortage(request: TaskRequest, agent: Candidate) -> str | None:
    """The first resource that the agent has not enough of, in words; None when the task fits."""
    for what, wanted, have in _AMOUNTS:
        if round(have(agent) * 1000) < round(wanted(request) * 1000):
            return f"has {have(agent):g} {what}"
    return None


def port_count(ranges: Sequence[tuple[int, int]]) -> int:
    return sum(end - begin + 1 for begin, end in ranges)


_AMOUNTS: tuple[tuple[str, Callable[[TaskRequest], float], Callable[[Candidate], float]], ...] = (
    ("cpus", lambda request: request.cpus, lambda agent: agent.cpus),
    ("MiB", lambda request: request.mem_mb, lambda agent: agent.mem_mb),
    ("ports", lambda request: request.ports, lambda agent: port_count(agent.ports)),
    ("MiB of disk", lambda request: request.disk_mb, lambda agent: agent.disk_mb),
    ("gpus", lambda request: request.gpus, lambda agent: agent.gpus),
)


def _needs(request: TaskRequest) -> str:
    parts = [f"{wanted(request):g} {what}" for what, wanted, _ in _AMOUNTS if wanted(request) > 0]
    return _listed(parts)


def _best(request: TaskRequest, agents: Sequence[Candidate]) -> str:
    """The resource that no agent has enough of; or that none has enough of all."""
    for what, wanted, have in _AMOUNTS:
        best = max(agents, key=lambda agent: (have(agent), agent.hostname))
        if round(have(best) * 1000) < round(wanted(request) * 1000):
            return f"best offer has {have(best):g} {what} on {best.hostname}"
    best = max(agents, key=lambda agent: (agent.cpus, agent.mem_mb, agent.hostname))
    return f"no single agent has all of it, {best.hostname} has {best.cpus:g} cpus and {best.mem_mb:g} MiB"


def _constraints(refused: Sequence[tuple[Candidate, tuple[str, str]]]) -> str:
    """By constraint, the agents that it refuses and the words for each."""
    by_rule: dict[str, dict[str, list[str]]] = {}
    for agent, (rule, words) in sorted(refused, key=lambda each: each[0].hostname):
        by_rule.setdefault(rule, {}).setdefault(words, []).append(agent.hostname)
    return "; ".join(f"{rule} refuses {_refused(groups)}" for rule, groups in by_rule.items())


def _refused(groups: dict[str, list[str]]) -> str:
    parts = [f"{_named(hosts)} ({words})" for words, hosts in list(groups.items())[:REFUSED_SHOWN]]
    more = sum(len(hosts) for hosts in list(groups.values())[REFUSED_SHOWN:])
    return ", ".join(parts) + (f" and {more} more" if more else "")


def _named(hosts: Sequence[str]) -> str:
    shown = list(hosts[:REFUSED_SHOWN])
    more = len(hosts) - len(shown)
    return _listed([*shown, f"{more} more"] if more else shown)


def _listed(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
