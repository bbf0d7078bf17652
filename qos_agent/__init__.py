"""QoS Agent: measures the network of a polling station and loses no reading."""

__version__ = "0.1.0"
