"""Faults on the real stack, and what Flink and Mesos themselves recorded of them.

`ground` is a stack with three ZooKeeper servers, two masters and three agents, three replicas of Weir and a stateful
exactly-once job; `evidence` reads how often anything was started, from Flink's logs and the agents' own files and not
from Weir. The suite `tests/integration/ha` uses both for one fault at a time, `python -m tests.chaos` for a seeded
schedule of all of them.
"""
