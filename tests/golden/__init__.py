"""Stored bytes of an earlier version, which every later version must reproduce."""
