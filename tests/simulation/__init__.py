"""Stations and fleets over days, at compressed time."""
