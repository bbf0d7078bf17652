"""The census service: its loop, its jobs and its own heartbeat."""
