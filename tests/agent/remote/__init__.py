"""Tests of the remote configuration in the running agent."""
