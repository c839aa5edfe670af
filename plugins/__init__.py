"""Strategies that a user may replace, one small file each, found through entry points."""
