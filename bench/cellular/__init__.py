"""Throughput on links that replay recorded capacity: replays and live tests."""

from __future__ import annotations

import os


def main() -> int:
    """Run everything, or skip the bench if no recorded traces are named."""
    from bench.cellular.__main__ import main as run
    from bench.cellular.traces import VARIABLE

    if not os.environ.get(VARIABLE):
        print(f"cellular: skipped, because {VARIABLE} names no folder of traces")
        return 0
    return run([])
