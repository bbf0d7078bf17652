"""The witness: checks arriving seals, cosigns them, and builds the national root."""
