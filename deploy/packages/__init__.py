"""Builds the Debian packages and the self-extracting files of the agent."""
