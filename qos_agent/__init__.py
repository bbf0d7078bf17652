"""QoS Agent: measures what a polling station's network gives, and loses nothing."""

__version__ = "0.1.0"
