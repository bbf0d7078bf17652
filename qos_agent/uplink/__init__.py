"""Delivers the journal's points to the collector, and never gives up."""

from qos_agent.uplink.loop import Uplink
from qos_agent.uplink.tally import UplinkStatus

__all__ = ["Uplink", "UplinkStatus"]
