"""ZooKeeper's own record of who changed what: the transaction log of one of its servers.

Each transaction stands there with the session that made it. One that was refused stands there as an error.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from integration.local.packages import find_java
from integration.local.stack import LocalStack
from integration.local.zkcli import zkcli_env

_MAIN = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.persistence.TxnLogToolkit"
_HEAD = r"^\d+/\d+/\d+, \d+:\d+:\d+\s[AP]M \S+ session "
# Values are printed as they are: what looks like the end of a line may be a byte of a number.
_ENTRY = re.compile(
    _HEAD + rf"(0x[0-9a-f]+) cxid \S+ zxid (0x[0-9a-f]+) (\w+)(.*?)(?=\n{_HEAD[1:]}|\Z)", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Transaction:
    """One transaction: its number in ZooKeeper's order, the session, what it was, and paths and values as printed."""

    zxid: int
    session: str
    kind: str
    text: str

    @property
    def refused(self) -> bool:
        return self.kind == "error"


def transactions(stack: LocalStack, server: str = "zk-1") -> list[Transaction]:
    """All transactions that a server has on disk, oldest first."""
    java, flink = find_java(), next(iter(stack.flink.values()))
    found = []
    logs = sorted((stack.state_dir / "zookeeper" / server / "data" / "version-2").glob("log.*"))
    for log in logs:
        argv = [java.path if java else "java", "-Xmx64m", "-cp", flink.classpath, _MAIN, "-d", str(log)]
        done = subprocess.run(argv, capture_output=True, env=zkcli_env(), timeout=120.0, check=False)
        text = done.stdout.decode("utf-8", "replace")
        found += [Transaction(int(item[2], 16), item[1], item[3], item[4]) for item in _ENTRY.finditer(text)]
    return sorted(found, key=lambda item: item.zxid)


def take_over(found: list[Transaction], root: str, epoch: int) -> Transaction:
    """The transaction with which the leader of an epoch took the lead."""
    wanted = f'"epoch": {epoch},'
    taken = [item for item in found if f"{root}/leader/epoch" in item.text and wanted in item.text]
    assert len(taken) == 1, f"epoch {epoch} was taken {len(taken)} times, among {len(found)} transactions"
    return taken[0]
