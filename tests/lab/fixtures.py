"""The laboratory as a pytest fixture.

The root conftest loads it with `pytest_plugins = ["tests.lab.fixtures"]`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab import delay
from tests.lab.network import Lab
from tests.lab.shape import Shape
from tests.support.requirement import require

CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
TOOLS = {
    "ip": "apt-get install iproute2",
    "tc": "apt-get install iproute2",
    "nft": "apt-get install nftables",
    "ethtool": "apt-get install ethtool",
}

MakeLab = Callable[[Shape], Lab]


@pytest.fixture
def lab() -> Iterator[MakeLab]:
    """Return a function that builds laboratories; they end with the test."""
    require_tools()
    with ExitStack() as stack:

        def make(shape: Shape) -> Lab:
            require_delay(shape)
            return stack.enter_context(Lab(shape))

        yield make


def require_tools() -> None:
    """Skip the test if a laboratory cannot be built here."""
    require(
        has_capability(CAP_NET_ADMIN) and has_capability(CAP_SYS_ADMIN),
        "the right to create network namespaces",
        "run as root (in a container: --privileged)",
    )
    for tool, install in TOOLS.items():
        require(shutil.which(tool) is not None, tool, install)


def require_delay(shape: Shape) -> None:
    """Skip the test if the shape needs a delay that cannot be built here."""
    if not shape.needs_delay:
        return
    tun = Path("/dev/net/tun").is_char_device()
    require(tun, "/dev/net/tun", "modprobe tun (in a container: --device /dev/net/tun)")
    require(delay.has_compiler(), "cc", "apt-get install gcc libc6-dev")


def has_capability(number: int) -> bool:
    """Return True if this process has the capability."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> number & 1)
