"""Roll-ups: sums of the agents' points per minute, regency, operator and phase.

The package decides which minutes to recalculate, reads raw points from the collectors
and writes the sums. It may import `influx`, `settings` and `state`; counting stations
belongs to the census.
"""
