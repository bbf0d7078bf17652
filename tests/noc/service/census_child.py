"""The census over given minutes in a process of its own, to be killed.

`python -m tests.noc.service.census_child SETTINGS.json FIRST LAST`, minutes of the scenario.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qos_agent.noc.service.loop import work_off
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc.nation import MINUTE_NS, START_NS


def main() -> None:
    """Each minute's work, and what it owes; a line for each that is begun."""
    settings = NocSettings.model_validate_json(Path(sys.argv[1]).read_text())
    service = Service(settings)
    for minute in range(int(sys.argv[2]), int(sys.argv[3])):
        print(minute, flush=True)
        work_off(service, service.minute(START_NS + minute * MINUTE_NS))


if __name__ == "__main__":
    main()
