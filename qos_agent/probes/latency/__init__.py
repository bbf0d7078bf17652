"""Latency and loss: probe trains over ICMP or STAMP with kernel timestamps."""
