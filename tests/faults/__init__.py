"""Faults, as tests: what was committed is delivered once, whatever fails."""
