"""Used while the image of Mesos is built: fetches libmesos and compiles its launchers into a directory.

`TARGET/bin` is then the launcher directory (mesos-master, mesos-agent, mesos-containerizer, ...).
"""

import sys
from pathlib import Path

from integration.local.artefacts import fetch_mesos
from integration.local.native_build import build_launchers
from integration.local.progress import Silent

target = Path(sys.argv[1])
launchers = build_launchers(fetch_mesos(target, Silent()), Silent())
(target / "bin").symlink_to(launchers.relative_to(target))
