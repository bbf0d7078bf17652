"""The support file: what someone far away needs to find a fault, without secrets."""

from qos_agent.agent.support.archive import Support, collect, write

__all__ = ["Support", "collect", "write"]
