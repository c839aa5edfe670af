"""A real headless Chromium: Debian's if it is installed or can be, else Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_INSTALL_S = 300.0


def chromium() -> str | None:
    """Path of a Chromium of the system, installed with apt when that is possible."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(command, capture_output=True, timeout=_INSTALL_S, check=False)
        found = shutil.which("chromium")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser; fails with what to install when there is none."""
    path = chromium()
    if path is None:
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        if done.returncode != 0:
            pytest.fail("there is no Chromium and none can be installed; run: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        # Without its own sandbox Chromium also starts as root and in containers; it sees pages of ours only.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield started
        finally:
            started.close()
