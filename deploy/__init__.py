"""What is installed and started around the agent."""
