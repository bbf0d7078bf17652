"""The only package that speaks to InfluxDB: writes, queries, limits, error causes.

The differences between InfluxDB 1.8, 2.x and 3.x are known here and nowhere else. It
may import `journal`, `config`, `evidence`, `system` and `model`.
"""
