"""Readings as files: CSV with data dictionary and manifest.

It converts stored lines into files that other programs read. The journal is read in
`journal`. It may import `verdict`, `influx`, `journal`, `config`, `evidence`, `system`
and `model`.
"""
