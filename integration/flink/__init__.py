"""Flink: command lines and configuration of its processes, its REST API, and what it leaves in ZooKeeper and storage.

versions  what differs between 1.20, 2.2 and 2.3, in one table
memory    the breakdown of a process's memory, as Flink itself computes it
config    settings of the operator, and which configuration keys are whose
render    TaskInfo of a JobManager or TaskManager (`ports.Renderer`)
rest      the REST client: bounded, timed, with errors of our own
ha        HA data in ZooKeeper: pointers to checkpoints, the elected JobManager
storage   checkpoints, savepoints and job results, in a directory or, with s3, in a bucket
adapter   `ports.Flink` on top of the three
fake      a Flink in memory that refuses what the real one refuses
"""
