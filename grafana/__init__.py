"""Generator of the Grafana dashboards, alert rules and provisioning files.

`python -m grafana` writes them next to this package.
"""
