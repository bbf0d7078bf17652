"""The DNS servers of a link as commands report them, if no file names them.

They are the last sources before a forwarder on the loopback. Each command runs for a
few milliseconds, has two seconds at most, and is skipped if it is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from qos_agent.model import json_text
from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import run_child

_TIMEOUT_S = 2.0
_OUTPUT_LIMIT_BYTES = 65536
_MOST_MODEMS = 4


def servers_by_command(name: str) -> Iterator[tuple[list[str], str]]:
    """Yield what each command reports for an interface, with the command."""
    resolvectl = ["resolvectl", "dns", name]
    yield _after_colon(_output(resolvectl)), " ".join(resolvectl)
    fields = "IP4.DNS,IP6.DNS"
    nmcli = ["nmcli", "--terse", "--get-values", fields, "device", "show", name]
    # nmcli escapes the colons of IPv6 and separates values by a bar.
    text = _output(nmcli).replace("\\:", ":").replace("|", " ")
    yield text.split(), f"nmcli device show {name}"
    yield _bearer_servers(name), "ModemManager's bearer"


def _output(argv: list[str]) -> str:
    """Return what a command prints; nothing if it is missing, fails or hangs."""
    try:
        result = run_child(
            argv,
            timeout_s=_TIMEOUT_S,
            output_limit_bytes=_OUTPUT_LIMIT_BYTES,
        )
    except (ProbeError, OSError):
        return ""
    return "" if result.failure() else result.stdout.decode("utf-8", "replace")


def _after_colon(text: str) -> list[str]:
    """Return the words after `Link 2 (eth0):`."""
    return re.sub(r"(?m)^Link \d+ \([^)]*\):", "", text).split()


def _bearer_servers(name: str) -> list[str]:
    """Return the servers of the connected bearer of an interface."""
    paths = _at(_answer(["-L"]), "modem-list")
    for path in _texts(paths)[:_MOST_MODEMS]:
        modem = _answer(["-m", path])
        for bearer in _texts(_at(modem, "modem", "generic", "bearers"))[:_MOST_MODEMS]:
            answer = _answer(["-b", bearer])
            if _at(answer, "bearer", "status", "interface") == name:
                return [
                    server
                    for family in ("ipv4-config", "ipv6-config")
                    for server in _texts(_at(answer, "bearer", family, "dns"))
                ]
    return []


def _answer(arguments: list[str]) -> Any:
    text = _output(["mmcli", "-J", *arguments])
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
