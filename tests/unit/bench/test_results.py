"""What `make bench` writes, from sample data; nothing is measured here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from tests.bench.__main__ import measured
from tests.bench.figures import Figure, figure, store
from tests.bench.plot import plot
from tests.bench.wire import _records, _requests

MET = figure("written to ACCEPT", "ms", [float(n) for n in range(1, 41)], "<= 3 x",
             lambda _, ratio: ratio is not None and ratio <= 3.0, [10.0, 10.0], "a raw <scheduler>")  # fmt: skip
MISSED = figure("memory", "MB", [500.0], "<= 400 MB", lambda median, _: median <= 400.0)


def test_results_are_a_list_of_figures_in_the_promised_form(tmp_path: Path) -> None:
    store([MET, MISSED], tmp_path / "bench" / "results.json")
    found = json.loads((tmp_path / "bench" / "results.json").read_text())
    promised = ("name", "unit", "median", "p99", "floor", "ratio", "goal", "met")
    assert [{key: one[key] for key in promised} for one in found] == [
        {"name": "written to ACCEPT", "unit": "ms", "median": 20.5, "p99": 40.0, "floor": 10.0, "ratio": 2.05,
         "goal": "<= 3 x", "met": True},
        {"name": "memory", "unit": "MB", "median": 500.0, "p99": None, "floor": None, "ratio": None,
         "goal": "<= 400 MB", "met": False},
    ]  # fmt: skip


def test_the_plot_is_well_formed_and_names_every_figure(tmp_path: Path) -> None:
    plot([MET, MISSED], tmp_path / "figures.svg")
    text = " ".join(ElementTree.parse(tmp_path / "figures.svg").getroot().itertext())
    assert "written to ACCEPT" in text
    assert "memory" in text


def test_a_measurement_that_fails_is_named_and_loses_no_other() -> None:
    def failing() -> Iterator[Figure]:
        yield MET
        raise TimeoutError("nothing came")

    figures, failed = measured({"first": failing, "second": lambda: iter([MISSED])})
    assert figures == [MET, MISSED]
    assert failed == ["first"]


def test_the_wire_reads_requests_and_events_however_the_bytes_are_cut() -> None:
    request = b'POST / HTTP/1.1\r\nContent-Length: 17\r\n\r\n{"type":"ACCEPT"}'
    event = b'{"type":"OFFERS"}'
    record = b"%d\n%s" % (len(event), event)
    stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(record), record)
    for parser, data, wanted in ((_requests(), request, b'{"type":"ACCEPT"}'), (_records(), stream, event)):
        next(parser)
        found = [each for n in range(len(data)) for each in parser.send((float(n), data[n : n + 1]))]
        assert [body for _, body in found] == [wanted]
