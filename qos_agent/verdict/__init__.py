"""Verdict of a link and its incidents: windows, baseline, judge, monitor.

It works on readings in memory. It does not measure and does not store. It may import
`config`, `evidence`, `system` and `model`.
"""
