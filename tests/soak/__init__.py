"""Thousands of job life cycles on real ZooKeeper, real Mesos and the shipped replica process: what grows?

Every job goes round: created, STABLE, suspended, resumed, upgraded (each with a savepoint), deleted, created
again under its name. Now and then the leader is stopped for longer than its ZooKeeper session lasts, so that the
session really expires and another replica takes over; the process lives on and stands in line again, so whatever
a leadership leaves behind in it is counted.

What is not real is Flink: a JVM pair takes 10 s of a core to start, which would be a few dozen cycles in a
minute. A task is what Weir's renderer made of it, launched by Mesos, but its `java` is `standin.py`, which answers the
REST calls that Weir makes and writes savepoints whose header Weir reads. Real Flink is soaked by `make chaos`.
"""
