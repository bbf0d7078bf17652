"""Writes the NOC's boards and their provisioning: `python -m grafana`."""
