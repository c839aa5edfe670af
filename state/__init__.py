"""What is remembered: the ZooKeeper store, election, codec, schema versions and the in-memory fake."""
