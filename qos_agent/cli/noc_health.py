"""`qos-agent noc health`: checks every part of the centre."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption
from qos_agent.cli.options import JsonOption

if TYPE_CHECKING:
    from qos_agent.noc.health.part import Part

WriteOption = Annotated[
    bool,
    typer.Option(
        "--write",
        help="Also write a point for each part to the database of the census.",
    ),
]


def health(
    write: WriteOption = False,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check the parts of the centre.

    Gateway, collectors, census, witness, enrolment, certificates, disks and backups.
    The exit status is 1 if one of them needs someone. A timer runs this each minute.
    """
    from qos_agent.noc.health import checks
    from qos_agent.noc.settings import load

    settings = load(config)
    parts = list(checks.checked(settings))
    if write:
        checks.write(settings, parts, time.time_ns())
    if as_json:
        print(json.dumps([part.values() for part in parts]))
    else:
        for part in parts:
            state = "ok" if part.is_ok else "!!"
            print(f"{state} {part.part} {part.name}: {part.problem or _figures(part)}")
    return int(not all(part.is_ok for part in parts))


def _figures(part: Part) -> str:
    return ", ".join(f"{name}={value}" for name, value in part.figures.items())
