"""The stand-in for http-parser behaves as pymesos needs it, however the bytes are split."""

from __future__ import annotations

from itertools import pairwise

import http_parser.http
import pytest
from http_parser.http import HttpParser
from hypothesis import given
from hypothesis import strategies as st


def feed(pieces):
    """(parser, body) after all pieces were consumed."""
    parser, body = HttpParser(), b""
    for piece in pieces:
        assert parser.execute(piece, len(piece)) == len(piece)
        if parser.is_partial_body():
            body += parser.recv_body()
    return parser, body


def chunked(chunks, headers=b""):
    payload = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks if c)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + headers + b"\r\n" + payload


def split(data, cuts):
    edges = [0, *sorted({c % len(data) for c in cuts} - {0}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=6), st.lists(st.integers(0, 5000), max_size=30))
def test_a_stream_is_the_same_whole_and_split(chunks, cuts):
    data = chunked(chunks, b"Mesos-Stream-Id: 130ae4e3\r\n")
    parser, body = feed(split(data, cuts))
    whole, whole_body = feed([data])
    assert body == whole_body == b"".join(chunks)
    assert parser.get_headers() == whole.get_headers()
    assert parser.get_headers()["Mesos-Stream-Id"] == "130ae4e3"
    assert parser.get_status_code() == 200
    assert parser.is_chunked()
    assert not parser.is_message_complete()


def test_byte_by_byte_is_the_same_as_whole():
    data = chunked([b"5\nhello", b"3\nabc"]) + b"0\r\n\r\n"
    parser, body = feed([data[i : i + 1] for i in range(len(data))])
    assert body == b"5\nhello3\nabc"
    assert parser.is_message_complete()


def test_a_body_waits_until_it_is_taken_once():
    parser = HttpParser()
    data = chunked([b"abc"])
    parser.execute(data, len(data))
    assert parser.is_partial_body()
    assert parser.recv_body() == b"abc"
    assert not parser.is_partial_body()
    assert parser.recv_body() == b""


def test_headers_are_not_complete_before_the_empty_line():
    parser, _ = feed([b"HTTP/1.1 200 OK\r\nA: b\r\n"])
    assert not parser.is_headers_complete()
    parser.execute(b"\r\n", 2)
    assert parser.is_headers_complete()


@pytest.mark.parametrize("status", [202, 307, 400, 401, 503])
def test_answers_without_a_stream_are_read(status):
    parser, body = feed([b"HTTP/1.1 %d X\r\nLocation: //h:5050/x\r\nContent-Length: 2\r\n\r\nno" % status])
    assert parser.get_status_code() == status
    assert parser.get_headers()["Location"] == "//h:5050/x"
    assert parser.is_message_complete()
    assert not parser.is_chunked()
    assert body == b"no"


def test_what_is_not_http_is_an_error():
    parser = HttpParser()
    assert parser.execute(b"SSH-2.0-OpenSSH\r\n", 17) != 17
    assert parser.get_errno() != 0


def test_a_broken_chunk_is_an_error():
    parser = HttpParser()
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert parser.execute(data, len(data)) != len(data)


def test_only_the_named_length_is_read():
    parser = HttpParser()
    assert parser.execute(b"HTTP/1.1 200 OK\r\n\r\ngarbage", 19) == 19
    assert parser.is_headers_complete()
    assert not parser.is_partial_body()


def test_pymesos_must_not_take_it_for_the_old_pure_python_parser():
    assert not hasattr(http_parser.http, "errno")
    assert not hasattr(HttpParser(), "errno")


@given(st.integers(1, 40), st.lists(st.integers(0, 3000), max_size=20))
def test_long_and_many_headers_survive_a_split(count, cuts):
    headers = b"".join(b"X-%d: %s\r\n" % (i, b"v" * i) for i in range(count))
    parser, _ = feed(split(chunked([b"x"], headers), cuts))
    assert parser.get_headers() == {"Transfer-Encoding": "chunked"} | {f"X-{i}": "v" * i for i in range(count)}
