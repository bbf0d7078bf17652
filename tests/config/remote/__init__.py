"""Tests of the remote configuration on the device."""
