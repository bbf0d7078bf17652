"""The network laboratory: namespaces, a shaped path between them, and counters."""
