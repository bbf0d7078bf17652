"""Real servers for the tests: InfluxDB, and a front that misbehaves on command."""
