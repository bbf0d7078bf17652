"""The HTTP client of the web probes: connection, request and response."""
