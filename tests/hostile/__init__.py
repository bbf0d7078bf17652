"""Hostile servers against every client of the package."""
