"""When a task runs, and what may prevent it: slots, pauses, link locks, allowance.

It decides when and whether a probe runs. How a probe measures belongs in `probes`.
It may import every package below it: `uplink`, `probes`, `archive`, `verdict`,
`influx`, `journal`, `config`, `evidence`, `system` and `model`.
"""
