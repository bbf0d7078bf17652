"""Tests of the operations centre with a simulated nation and a real InfluxDB."""
