"""Figures of an archive that the regulator can publish, each with its sample size.

`indicators` defines each figure once, `sums` adds up whole numbers with DuckDB, and
`estimates` calculates everything else from these sums.
"""
