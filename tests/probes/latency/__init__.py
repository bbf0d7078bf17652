"""Tests of the latency probe."""
