"""Strategies for Weir that Weir does not ship."""
