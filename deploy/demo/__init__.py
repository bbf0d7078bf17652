"""The demonstration: InfluxDB, Grafana, the census and simulated stations."""
