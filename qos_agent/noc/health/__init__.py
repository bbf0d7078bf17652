"""The pipeline in its own view: each part of the centre, and a heartbeat of each."""
