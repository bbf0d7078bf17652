"""Tests of the trains."""
