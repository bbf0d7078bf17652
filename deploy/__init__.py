"""Everything that is installed or started around the agent."""
