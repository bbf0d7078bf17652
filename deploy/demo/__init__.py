"""A small nation on a drill day: InfluxDB, Grafana, the census and a simulator."""
