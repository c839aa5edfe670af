"""The OpenAPI document as a file: `python -m reconciler.app.api.document docs/openapi.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reconciler.app.api import application
from reconciler.app.api.context import Context
from reconciler.app.api.tokens import Tokens
from reconciler.app.monitoring.monitor import Monitor


def text() -> str:
    """The document of an application that serves nobody."""
    nobody: Any = None
    context = Context("replica", "host", Monitor(), reads=nobody, zookeeper_connected=lambda: False)
    described = application.build(context, Tokens(None), nobody, checkpoints=nobody).openapi()
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
