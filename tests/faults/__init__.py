"""Fault tests: every committed point is delivered once, with any fault."""
