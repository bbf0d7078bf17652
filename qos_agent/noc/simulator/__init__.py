"""Simulated stations: values are drawn, faults are injected, points are delivered.

Points are encoded by the agent's own model and encoder. The simulator knows nothing of
the census. It writes down the injected faults, so that tests can compare the census
with them.
"""
