"""The command line: one file per command group, heavy imports in the commands."""
