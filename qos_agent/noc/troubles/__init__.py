"""Decides, once a minute, which troubles the nation has, and since when.

The census and the roll-ups are the inputs. Grafana only forwards the result.
"""
