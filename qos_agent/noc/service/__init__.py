"""The census service: its loop, its jobs and its own heartbeat.

It decides when the census and the roll-ups run, writes their lines and reports errors.
What is counted and summed belongs to `census` and `rollup`.
"""
