"""Runs the census of a few minutes in a child process that a test kills.

Usage: `python -m tests.noc.service.census_child SETTINGS.json FIRST LAST`. FIRST and
LAST are minutes of the scenario.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.simulation import do_pending


def main() -> None:
    """Do each minute's work and the remaining work; print a line before each minute."""
    settings = NocSettings.model_validate_json(Path(sys.argv[1]).read_text())
    service = Service(settings)
    for minute in range(int(sys.argv[2]), int(sys.argv[3])):
        print(minute, flush=True)
        do_pending(service, service.minute(START_NS + minute * MINUTE_NS))


if __name__ == "__main__":
    main()
