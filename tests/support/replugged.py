"""A process in a network namespace that unplugs and plugs in an interface.

It prints the total of the link after each step, as JSON. sysfs shows the interfaces of
the namespace in which the process was started, so a thread of the test cannot do it.
"""

from __future__ import annotations

import json
import subprocess

from qos_agent.agent.link_traffic import LinkTraffic
from qos_agent.model import Link
from qos_agent.schedule.runner import link_count


def _run(command: str, *, check: bool = True) -> None:
    subprocess.run(command.split(), check=check, capture_output=True)


def main() -> None:
    """Plug the interface in twice and move a few bytes each time."""
    traffic = LinkTraffic(Link("second", "xl", "usb0"), link_count)
    totals = [traffic.moved_bytes()]
    for _ in range(2):
        _run("ip link add usb0 type veth peer name far")
        _run("ip addr add 10.99.0.1/24 dev usb0")
        _run("ip link set usb0 up")
        _run("ip link set far up")
        _run("ping -c1 -W1 -I usb0 10.99.0.2", check=False)
        totals.append(traffic.moved_bytes())
        _run("ip link del usb0")
        totals.append(traffic.moved_bytes())
    print(json.dumps(totals))


if __name__ == "__main__":
    main()
