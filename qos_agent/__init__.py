"""QoS Agent: measures the network of a polling station and stores every reading."""

try:
    from qos_agent._version import __version__ as __version__
except ImportError:  # a checkout that was never installed
    __version__ = "0.1.0"
