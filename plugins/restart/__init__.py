"""Restart strategies: when to try again after a failure, and when to give up."""
