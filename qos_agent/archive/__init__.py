"""Readings as files: CSV with data dictionary and manifest.

It reads journals and writes files that other programs read. It may import `verdict`,
`influx`, `journal`, `config`, `evidence`, `system` and `model`.
"""
