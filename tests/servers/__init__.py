"""Servers for the tests: a real InfluxDB, and a front that injects faults."""
