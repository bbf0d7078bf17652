"""Roll-ups: sums of the agents' points per minute, regency, operator and phase."""
