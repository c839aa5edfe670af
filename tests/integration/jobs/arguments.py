"""Writes its arguments, each in Base64, into the file that the environment names, and runs a job that ends at once."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

Path(os.environ["SEEN"] + "-token").write_text(os.environ["TOKEN_FILE"], encoding="utf-8")
for part, source in (("environment", "environ"), ("command", "cmdline")):
    # Of the JVM that started this process: what Mesos launched.
    Path(f"{os.environ['SEEN']}-{part}").write_bytes(Path(f"/proc/{os.getppid()}/{source}").read_bytes())
lines = [base64.b64encode(arg.encode()).decode() + "\n" for arg in sys.argv[1:]]
Path(os.environ["SEEN"]).write_text("".join(lines), encoding="utf-8")

tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
tables.execute_sql("CREATE TABLE nothing (n INT) WITH ('connector' = 'blackhole')")
tables.execute_sql("INSERT INTO nothing VALUES (1), (2)")
