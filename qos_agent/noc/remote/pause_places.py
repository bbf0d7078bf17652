"""The operators and areas of a pause, compared with the register.

A pause of an operator that no station has would pause nothing, and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qos_agent.config.remote.index import Pause
from qos_agent.model.errors import ConfigError
from qos_agent.noc.register.store import Register


def check_places(pause: Pause, register: Path, now_s: int) -> None:
    """Raise ConfigError for an operator or an area without a station.

    A centre without a register has nothing to compare with.
    """
    if not register.exists():
        return
    opened = Register(register)
    try:
        pairs = list(opened.expected_by_operator(now_s))
    finally:
        opened.close()
    if not pairs:
        return
    areas = {code for regency, _ in pairs for code in (regency, regency[:2])}
    _check("--operator", pause.operators, {operator for _, operator in pairs})
    _check("--area", pause.areas, areas)


def _check(option: str, given: Iterable[str], known: set[str]) -> None:
    for value in given:
        if value not in known:
            some = ", ".join(sorted(known, key=lambda code: (len(code), code))[:40])
            problem = "no station of the register has it"
            raise ConfigError(option, repr(value), problem, f"use one of {some}")
