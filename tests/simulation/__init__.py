"""Simulations of stations and fleets over days, in compressed time."""
