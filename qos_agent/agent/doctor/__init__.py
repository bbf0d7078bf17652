"""The doctor: checks of everything that measuring needs, each with its fix.

`table` lists the checks. All of them run at the same time, for a limited time, and
change nothing. The other modules have the checks of one part each.
"""

from qos_agent.agent.doctor.check import Check, Health
from qos_agent.agent.doctor.subject import Subject, examine
from qos_agent.agent.doctor.table import diagnose

__all__ = ["Check", "Health", "Subject", "diagnose", "examine"]
