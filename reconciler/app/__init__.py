"""Wiring: the command line, the replica process and everything that may import every layer."""
