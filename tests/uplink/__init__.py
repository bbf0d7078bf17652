"""Tests of the uplink."""
