"""A nation of stations: measured values drawn, troubles planted, points delivered.

What it writes goes through the agent's own model, stamper and line protocol. It knows
nothing of the census: what it planted is written down for tests to hold others to.
"""
