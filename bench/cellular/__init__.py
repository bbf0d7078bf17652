"""Throughput on links that replay recorded capacity: replays and live tests."""
