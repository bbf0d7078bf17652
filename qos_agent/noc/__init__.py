"""The operations centre: register, census, roll-ups, their service, and a simulator.

It reads the agents' points from one or more collectors and writes what Grafana shows
into a database of its own. Nothing of the agent imports it. It may import every other
package except `cli`.
"""
