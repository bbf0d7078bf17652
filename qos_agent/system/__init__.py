"""The machine: clocks, child processes, systemd, locale, link locks, sockets, routes.

Thin wrappers over the kernel and the operating system. What is measured with them
belongs in `probes`. It may import `model` only.
"""
