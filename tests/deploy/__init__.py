"""Tests of the files around the agent."""
