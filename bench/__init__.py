"""What is measured about the agent itself, each a command that prints a table."""
