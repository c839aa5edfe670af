"""Builds the launchers of master, agent and containerizer, and the stub libraries that let libmesos load.

libmesos was linked against OpenSSL 1.0, an old libcurl and Python 2. Nothing of them is ever called in a
cluster without TLS, but the loader wants the names. The stubs are generated from the library's own list of
undefined symbols, each under the version that the library asks for.

The result is one *launcher directory* per content: Mesos finds ``mesos-containerizer``, ``mesos-executor``
and ``mesos-fetcher`` in it by name.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from integration.local.cache import file_lock
from integration.local.errors import MissingRequirement
from integration.local.progress import Progress

log = structlog.get_logger()

NATIVE = Path(__file__).parent / "native"
SCRIPTS = Path(__file__).parent
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "mesos-master": ("master.cc", "registry.cc"),
    "mesos-agent": ("agent.cc",),
    "mesos-containerizer": ("containerizer.cc",),
}
HELPERS: Mapping[str, str] = {"mesos-executor": "executor.py", "mesos-fetcher": "fetcher.py"}

# Data that libmesos takes the address of; everything else that is missing is a function.
_DATA = {"PyExc_Exception", "PyExc_TypeError", "_Py_NoneStruct"}
_OK = {"SSL_library_init"}
_OPENSSL = ("libssl.so.1.0.0", "libcrypto.so.1.0.0")
_CURL = "libcurl.so.4"
_PYTHON = "libweirpython2.so"


def plain_python() -> str:
    """The interpreter behind a virtual environment: starts faster and needs nothing but the standard library."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def build_launchers(library: Path, progress: Progress) -> Path:
    """The launcher directory for ``library``; compiles it (about 5 s) unless the cache has it."""
    digest = _digest(library)
    home = library.parent / f"launcher-{digest}"
    with file_lock(library.parent / ".build.lock"):
        if (home / ".complete").exists():
            return home
        partial = library.parent / f"launcher-{digest}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
        partial.mkdir()
        steps = len(PROGRAMS) + 4
        with progress.bar("compiling the Mesos launchers", steps, steps=True) as bar:
            (partial / "libmesos.so").symlink_to(library)
            _build_stubs(library, partial)
            bar.update(4)
            for done, (program, sources) in enumerate(PROGRAMS.items(), start=5):
                _compile_program(partial, program, sources)
                bar.update(done)
        for name, script in HELPERS.items():
            _install_helper(partial, home, name, script)
        (partial / ".complete").touch()
        partial.rename(home)
        log.info("native.built", path=str(home))
    return home


def _digest(library: Path) -> str:
    """Identifies everything that the result depends on."""
    digest = hashlib.sha256(plain_python().encode())
    digest.update(str(library.stat().st_size).encode())
    inputs = [*sorted(NATIVE.iterdir()), *(SCRIPTS / name for name in HELPERS.values()), Path(__file__)]
    for path in inputs:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _build_stubs(library: Path, into: Path) -> None:
    versioned, python = undefined_symbols(library)
    openssl = {version: names for version, names in versioned.items() if version.startswith("OPENSSL")}
    curl = {version: names for version, names in versioned.items() if version.startswith("CURL")}
    for soname in _OPENSSL:  # the library's symbols name a version, not a file: both files hold all of them
        _compile_stub(into, soname, openssl)
    _compile_stub(into, _CURL, curl)
    _compile_stub(into, _PYTHON, {"": python})


def undefined_symbols(library: Path) -> tuple[dict[str, list[str]], list[str]]:
    """What ``library`` lacks here: names by OpenSSL and curl version, and names of Python 2's C API."""
    listing = _run(["nm", "-D", "--undefined-only", str(library)], "list the symbols that libmesos needs")
    versioned: dict[str, list[str]] = defaultdict(list)
    python: list[str] = []
    for line in listing.splitlines():
        name, _, version = line.split()[-1].partition("@")
        version = version.lstrip("@")
        if version.startswith(("OPENSSL_", "CURL_")):
            versioned[version].append(name)
        elif name.startswith(("Py", "_Py")):
            python.append(name)
    return dict(versioned), python


def stub_source(names: Iterable[str]) -> str:
    """C source that defines ``names``: data as zeroes, functions that do nothing."""
    lines = []
    for name in names:
        if name in _DATA:
            lines.append(f"void *{name}[64];")
        else:
            lines.append(f"long {name}(void) {{ return {int(name in _OK)}; }}")
    return "\n".join(lines) + "\n"


def version_script(nodes: Mapping[str, Iterable[str]]) -> str:
    """A linker version script with one node per version."""
    return "".join(f"{node} {{ global: {' '.join(f'{n};' for n in names)} }};\n" for node, names in nodes.items())


def _compile_stub(into: Path, soname: str, nodes: Mapping[str, list[str]]) -> None:
    source = into / f"{soname}.c"
    source.write_text(stub_source(name for names in nodes.values() for name in names))
    argv = ["gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{soname}", "-o", str(into / soname), str(source)]
    if any(nodes):
        script = into / f"{soname}.map"
        script.write_text(version_script(nodes))
        argv.append(f"-Wl,--version-script={script}")
    _run(argv, f"compile {soname}")


def _compile_program(into: Path, program: str, sources: tuple[str, ...]) -> None:
    # DT_RPATH and not DT_RUNPATH: only the former is also used for the library's own dependencies.
    link = ["-Wl,--disable-new-dtags,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined", "-Wl,--no-as-needed"]
    compile_ = ["g++", "-std=c++14", "-O1", "-Wall", f"-I{NATIVE}", *(str(NATIVE / name) for name in sources)]
    libraries = [f"-L{into}", f"-l:{_PYTHON}", "-l:libmesos.so", "-ldl", "-pthread"]
    _run([*compile_, "-o", str(into / program), *link, *libraries], f"compile {program}")


def _install_helper(into: Path, final: Path, name: str, script: str) -> None:
    """A Python program of ours under the name by which Mesos executes it."""
    shutil.copyfile(SCRIPTS / script, into / script)
    wrapper = into / name
    # -I: no user site, no PYTHON* variables of the task; -S: no site packages at all, the standard library only.
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(plain_python())} -I -S {shlex.quote(str(final / script))} "$@"\n')
    wrapper.chmod(0o755)


def _run(argv: list[str], purpose: str) -> str:
    env = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    except FileNotFoundError as error:
        raise MissingRequirement(
            f"cannot {purpose}", f"{argv[0]} is not installed", "apt-get install -y g++"
        ) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        why = next((line for line in lines if "error" in line), lines[-1] if lines else f"{argv[0]} failed")
        raise MissingRequirement(f"cannot {purpose}", why, shlex.join(argv))
    return done.stdout
