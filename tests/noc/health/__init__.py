"""Tests of the health of the centre."""
