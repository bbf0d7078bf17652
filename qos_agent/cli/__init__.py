"""The command line: one module per command or group of commands.

Commands import heavy modules in their bodies, so that `--help` stays fast.
"""
