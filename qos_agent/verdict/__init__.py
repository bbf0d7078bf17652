"""Verdict of a link and its incidents: windows, baseline, judge, monitor.

It works on readings in memory. It may import `influx` and everything below it, but
it does not measure and does not store.
"""
