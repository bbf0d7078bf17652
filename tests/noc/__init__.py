"""The operations centre, against the simulated nation and a real InfluxDB."""
