"""The command line, with one module per command or group.

Logic that works without a terminal belongs in the other packages. It may import every
package. Commands import heavy modules in their bodies, so that `--help` stays fast.
"""
