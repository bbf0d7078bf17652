"""Schedule of the tasks and its limits: slots, pauses, link locks, data allowance.

It decides when and whether a probe runs. The measurement itself belongs in `probes`.
It may import every package below it: `uplink`, `probes`, `archive`, `verdict`,
`influx`, `journal`, `config`, `evidence`, `system` and `model`.
"""
