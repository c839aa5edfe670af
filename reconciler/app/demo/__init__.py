"""The demo: a real cluster, a job declared in ZooKeeper, faults, an upgrade, and a comparison row by row.

    python -m reconciler.app.demo            everything, on a fresh machine too
    python -m reconciler.app.demo --keep     the same, and the stack stays up for a look around
    python -m reconciler.app.demo --down     nothing is left running

`harness` (replicas, ZooKeeper's own client, one job as it is seen from outside) and `scenario` (the story itself)
know nothing of the command line: the end-to-end tests use them on a stack of their own.
"""
