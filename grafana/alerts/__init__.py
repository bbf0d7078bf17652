"""Alert rules, whom they reach and when, as Grafana 9.3 to 13 all load them."""
