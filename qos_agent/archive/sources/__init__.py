"""Sources of readings for the archive, behind one interface.

A source yields canonical lines with positions, in bounded memory, and can continue
after a position. It never changes what it reads. `open_sources` finds the sources
behind a path.
"""

from qos_agent.archive.sources.opening import open_sources
from qos_agent.archive.sources.types import Item, Source, readable_items

__all__ = ["Item", "Source", "open_sources", "readable_items"]
