"""Measurements of the agent itself. Each module is a command that prints a table."""
