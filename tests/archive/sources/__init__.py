"""Tests of the sources of readings."""
