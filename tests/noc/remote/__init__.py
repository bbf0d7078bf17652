"""Tests of publishing the remote configuration."""
