"""What a JobManager runs: a Python script, a JAR or an SQL script, as its entry point and arguments. Pure.

Flink reads a command line twice: the entry point takes its own options, and the driver of a Python job those of
`flink run`. Both stop at `--` (Apache Commons CLI), so everything of the user's stands behind one. Without it an
option with many values, such as `--jars`, takes the arguments of the job for more values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from integration.flink import gate, sql_job
from integration.flink.config import FlinkDistribution
from reconciler.model.resources import FetchUri
from reconciler.model.spec import JobSpec

PYTHON_DRIVER = "org.apache.flink.client.python.PythonDriver"
GATE_PROGRAM = "weir_gate.py"
SHIPPED = "weir_program.py"
"""Name in the sandbox of a program that Weir itself brings along."""
FETCHED = ("http", "https", "ftp", "ftps", "hdfs", "s3", "s3a", "s3n", "gs")

_GATE = {"WEIR_GATE": gate.CLASS_FILE}
_SQL_JOB = Path(sql_job.__file__).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Program:
    """Options of the entry point, arguments of the program, files to fetch."""

    options: tuple[str, ...]
    arguments: tuple[str, ...]
    uris: tuple[FetchUri, ...] = ()
    shipped: str | None = None
    """Text of the file `SHIPPED`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What the start script makes files of."""


def program_of(spec: JobSpec, distribution: FlinkDistribution, *, gated: bool = False) -> Program:
    """What is run, behind the gate if it is to wait there. Raises ValueError, with the field, for what cannot be."""
    if spec.is_session:
        return Program((), ())
    if spec.job.type == "jar":
        return _jar(spec, gated=gated)
    program = (_python if spec.job.type == "python" else _sql)(spec, distribution, gated=gated)
    return replace(program, env={**_GATE, "WEIR_GATE_PROGRAM": gate.PROGRAM}) if gated else program


def _python(spec: JobSpec, distribution: FlinkDistribution, *, gated: bool) -> Program:
    """PyFlink docs, "Deployment modes": application mode with the PythonDriver as entry class."""
    located = [_local(uri) for uri in (spec.job.uri, *spec.job.py_files)]
    files = [path for path, _ in located[1:]]
    main = ("-m", spec.job.entry_class) if spec.job.entry_class else (located[0][0],)
    if spec.job.entry_class:
        files.insert(0, located[0][0])
    uris = tuple(uri for _, uri in located if uri is not None)
    options = ("-pyfs", ",".join(files)) if files else ()
    arguments = _driven(spec, distribution, options, main, spec.job.args, gated=gated)
    return Program(("--job-classname", PYTHON_DRIVER), arguments, uris)


def _sql(spec: JobSpec, distribution: FlinkDistribution, *, gated: bool) -> Program:
    """A script is run by `sql_job`, whose text is put into the sandbox by the start script."""
    path, uri = _local(spec.job.uri)
    arguments = _driven(spec, distribution, (), (SHIPPED,), [path], gated=gated)
    return Program(("--job-classname", PYTHON_DRIVER), arguments, (uri,) if uri else (), _SQL_JOB)


def _driven(
    spec: JobSpec,
    distribution: FlinkDistribution,
    options: tuple[str, ...],
    main: tuple[str, ...],
    arguments: list[str],
    *,
    gated: bool,
) -> tuple[str, ...]:
    """Arguments of the PythonDriver, for a script or `-m` and a module.

    `-pyclientexec` needs the Python that has PyFlink of this very version.
    """
    if distribution.python is None:
        raise ValueError(
            f"the distribution of Flink {distribution.version} has no Python, and job.type {spec.job.type} needs one; "
            "have flink.distributions.….python set in the operator's configuration"
        )
    python = spec.flink_configuration.get("python.client.executable", distribution.python)
    if gated:
        main, arguments = (GATE_PROGRAM,), [*main, *arguments]
    driven = ("-pym", main[1]) if main[0] == "-m" else ("-py", main[0])
    return ("-pyclientexec", python, *options, *driven, "--", *arguments)


def _jar(spec: JobSpec, *, gated: bool) -> Program:
    path, uri = _local(spec.job.uri)
    if spec.job.py_files:
        raise ValueError("job.pyFiles belongs to job.type python")
    # `local:` is used where it lies; a path in the sandbox is resolved there.
    jars, uris = ("--jars", path if uri else f"local://{path}"), (uri,) if uri else ()
    if gated:
        if spec.job.entry_class is None:
            raise ValueError("job.entryClass is needed by a JobManager that is started beforehand")
        options = ("--job-classname", gate.CLASS, *jars)
        return Program(options, (spec.job.entry_class, *spec.job.args), uris, env=_GATE)
    entry = ("--job-classname", spec.job.entry_class) if spec.job.entry_class else ()
    return Program((*entry, *jars), tuple(spec.job.args), uris)


def _local(uri: str) -> tuple[str, FetchUri | None]:
    """Path of a job's file on the agent, and what the Mesos fetcher has to fetch for it."""
    parts = urlsplit(uri)
    if parts.scheme in ("file", "") and parts.path.startswith("/") and parts.netloc in ("", "localhost"):
        return unquote(parts.path), None
    name = PurePosixPath(unquote(parts.path)).name
    if parts.scheme in FETCHED and name:
        return name, FetchUri(uri, output_file=name)
    raise ValueError(f'"{uri}" cannot be reached by agents; use file:///path or one of {", ".join(FETCHED)}')
