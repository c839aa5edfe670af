"""A pure-Python stand-in for http-parser 0.9.0, whose generated C no longer compiles.

pymesos depends on http-parser and calls only `http_parser.http.HttpParser`. This distribution
offers that class over httptools, and nothing else.
"""
