"""The running agent: its components, main loop, heartbeat, status file and doctor.

It connects schedule, probes, journal, verdict and uplink. The commands that start it
belong in `cli`. It may import every package except `cli` and `noc`.
"""
