"""Alert rules, notifications and mute timings, for Grafana 9.3 to 13."""
