"""Delivers the journal's points to the collector, and retries until it acknowledges.

It decides when to send which points, and counts the data that this uses. The requests
themselves are the work of `influx`. It may import `influx`, `journal`, `config`,
`system` and `model`.
"""

from qos_agent.uplink.status import UplinkStatus
from qos_agent.uplink.uplink import Uplink

__all__ = ["Uplink", "UplinkStatus"]
