"""Runs a Python program once the gate is open (`Gate.java`): SCRIPT ARGUMENTS…, or -m MODULE ARGUMENTS…

Everything that takes time is done before: this process, its Java gateway and the modules of PyFlink are there.
"""

import runpy
import sys
from pathlib import Path

import pyflink.datastream
import pyflink.table  # noqa: F401 - for the time that it takes
from pyflink.java_gateway import get_gateway

get_gateway().jvm.dev.weir.Gate.waitUntilOpen()
del sys.argv[0]
if sys.argv[0] == "-m":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
