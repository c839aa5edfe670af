"""The demo on Kafka: a PyFlink Table job between two topics, exactly once, through a kill and an upgrade.

    python -m reconciler.app.demo_kafka            everything, on a fresh machine too
    python -m reconciler.app.demo_kafka --down     nothing is left running

`topics` (the rows as they are in Kafka), `rows` (the comparison) and `scenario` (the story itself) know nothing of
the command line: the end-to-end test uses them on a stack of its own. What it has in common with the other demo
(harness, narration, faults, the ground it stands on) it takes from there.
"""
