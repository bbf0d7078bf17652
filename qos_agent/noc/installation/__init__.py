"""The installation of a centre on one machine: its files, and its databases."""
