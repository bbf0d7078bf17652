"""Readings as files: CSV with data dictionary and manifest.

It writes canonical lines into files that other programs read. It may import `verdict`,
`influx`, `journal`, `config`, `evidence`, `system` and `model`.
"""
