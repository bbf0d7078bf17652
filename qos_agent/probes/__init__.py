"""The probes, one package for each kind of measurement, and the envelope around them.

`registry` lists all probes. They return results and do not use journal, schedule or
uplink. It may import `config`, `system` and `model`.
"""
