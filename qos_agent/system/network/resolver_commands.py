"""The DNS servers of a link as commands report them, if no file names them.

They are asked if the files of the device cannot tell the links apart or name only a
forwarder. Each command runs for a few milliseconds and is skipped if it is not
installed. One that hangs is killed after two seconds, and all together after three.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from qos_agent.model import json_text
from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import run_child

_TIMEOUT_S = 2.0
_TOTAL_S = 3.0
_OUTPUT_LIMIT_BYTES = 65536
_MOST_MODEMS = 4

# Runs a command; returns what it prints.
_Run = Callable[[list[str]], str]


def servers_by_command(name: str) -> Iterator[tuple[list[str], str]]:
    """Yield what each command reports for an interface, with the command."""
    output = partial(_output, end_s=time.monotonic() + _TOTAL_S)
    resolvectl = ["resolvectl", "dns", name]
    yield _after_colon(output(resolvectl)), " ".join(resolvectl)
    fields = "IP4.DNS,IP6.DNS"
    nmcli = ["nmcli", "--terse", "--get-values", fields, "device", "show", name]
    # nmcli escapes the colons of IPv6 and separates values by a bar.
    text = output(nmcli).replace("\\:", ":").replace("|", " ")
    yield text.split(), f"nmcli device show {name}"
    yield _bearer_servers(name, output), "ModemManager's bearer"


def _output(argv: list[str], end_s: float) -> str:
    """Return what a command prints; nothing if it is missing, fails or hangs."""
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        return ""
    try:
        result = run_child(
            argv,
            timeout_s=min(_TIMEOUT_S, left_s),
            output_limit_bytes=_OUTPUT_LIMIT_BYTES,
        )
    except (ProbeError, OSError):
        return ""
    return "" if result.failure() else result.stdout.decode("utf-8", "replace")


def _after_colon(text: str) -> list[str]:
    """Return the words after `Link 2 (eth0):`."""
    return re.sub(r"(?m)^Link \d+ \([^)]*\):", "", text).split()


def _bearer_servers(name: str, output: _Run) -> list[str]:
    """Return the servers of the connected bearer of an interface."""
    paths = _at(_answer(output, "-L"), "modem-list")
    for path in _texts(paths)[:_MOST_MODEMS]:
        modem = _answer(output, "-m", path)
        for bearer in _texts(_at(modem, "modem", "generic", "bearers"))[:_MOST_MODEMS]:
            answer = _answer(output, "-b", bearer)
            if _at(answer, "bearer", "status", "interface") == name:
                return [
                    server
                    for family in ("ipv4-config", "ipv6-config")
                    for server in _texts(_at(answer, "bearer", family, "dns"))
                ]
    return []


def _answer(output: _Run, *arguments: str) -> Any:
    text = output(["mmcli", "-J", *arguments])
    try:
        return json_text.loads(text) if text else None
    except ValueError:
        return None


def _at(answer: Any, *keys: str) -> Any:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def _texts(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []
