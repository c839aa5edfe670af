"""The domain: deciding what must happen to a Flink job, and doing it in a safe order."""
