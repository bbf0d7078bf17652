"""Whether a link is good, degraded or bad, and since when: windows, judge, incidents.

It works on readings in memory. It may import `influx` and everything below it, but
it does not measure and does not store.
"""
