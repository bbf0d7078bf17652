"""Delivers the journal's points to the collector, and never gives up."""

from qos_agent.uplink.status import UplinkStatus
from qos_agent.uplink.uplink import Uplink

__all__ = ["Uplink", "UplinkStatus"]
