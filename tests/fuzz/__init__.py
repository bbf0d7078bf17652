"""Parsers of bytes from outside: whatever arrives, they return or raise their error."""
