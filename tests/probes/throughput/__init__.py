"""Tests of the throughput probe and its backends."""
