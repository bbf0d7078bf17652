"""Latency and loss: trains of probes over ICMP or STAMP, stamped by the kernel."""
