"""Notification plugins: who is told what happened to jobs."""
