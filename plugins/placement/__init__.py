"""Placement strategies: which of the agents that fit is best."""
