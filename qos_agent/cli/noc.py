"""`qos-agent noc`: the commands of the operations centre."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_backup import backup, restore
from qos_agent.cli.noc_ca import ca
from qos_agent.cli.noc_config import app as config_app
from qos_agent.cli.noc_enrolment import enrolment
from qos_agent.cli.noc_health import health
from qos_agent.cli.noc_options import NocConfigOption, moment_s, need_collectors
from qos_agent.cli.noc_provision import provision
from qos_agent.cli.noc_register import register
from qos_agent.cli.noc_setup import setup
from qos_agent.cli.noc_simulate import simulate
from qos_agent.cli.noc_witness import witness
from qos_agent.cli.output import write_in_background
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.noc.service.service import Service

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(register, name="register")
app.add_typer(witness, name="witness")
app.add_typer(ca, name="ca")
app.command("setup")(setup)
app.add_typer(config_app, name="config")
app.command("simulate")(simulate)
app.command("provision")(provision)
app.command("enrolment")(enrolment)
app.command("health")(health)
app.command("backup")(backup)
app.command("restore")(restore)
OnceOption = Annotated[bool, typer.Option("--once", help="Count one minute and stop.")]
RecomputeOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="FROM TO",
        help="Recalculate the roll-ups between two moments and stop. "
        "A moment has the form 2024-02-14T07:00:00+07:00.",
    ),
]


@app.command("census")
def census(
    once: OnceOption = False,
    recompute: RecomputeOption = None,
    config: NocConfigOption = None,
) -> int:
    """Count stations and calculate roll-ups each minute.

    Runs until SIGTERM, Ctrl-C or the loss of the terminal. The systemd service runs
    this command.
    """
    import logging
    import threading

    from qos_agent.cli.log import log_to
    from qos_agent.noc.service.loop import run
    from qos_agent.noc.service.service import Service
    from qos_agent.noc.settings import load
    from qos_agent.system.signals import handle_signals

    span_ns = _span_ns(*recompute) if recompute is not None else None
    settings = load(config)
    need_collectors(settings)
    if settings.rollup.url is None:
        fix = "set it to the URL of the InfluxDB for census and roll-ups"
        raise ConfigError("rollup.url", None, "missing", fix)
    write_in_background()
    log_to(sys.stderr, 2, logging.INFO)
    service = Service(settings)
    if span_ns is not None:
        return _recalculate(service, *span_ns)
    if once:
        report = service.minute(time.time_ns())
        print(report)
        return 1 if report.failed else 0
    stop = threading.Event()
    handle_signals(stop.set)
    run(service, stop)
    return 0


def _span_ns(start: str, end: str) -> tuple[int, int]:
    """Parse two moments. Raises ConfigError if they are in the wrong order."""
    start_s, end_s = (moment_s(m, "--recompute") for m in (start, end))
    if start_s >= end_s:
        raise ConfigError(
            "--recompute",
            f"{start} to {end}",
            "FROM must be before TO",
            "swap the two moments",
        )
    return start_s * 10**9, end_s * 10**9


def _recalculate(service: Service, from_ns: int, to_ns: int) -> int:
    """Recalculate the roll-ups of a span and print a line for each part of it."""
    for notice in service.expired(from_ns):
        print(notice, file=sys.stderr)
    points = 0
    try:
        for part, count in service.recompute(from_ns, to_ns):
            points += count
            end = datetime.fromtimestamp(part.to_ns // 10**9, UTC).isoformat()
            print(f"province {part.province}: up to {end}, {count} points", flush=True)
    except KeyboardInterrupt:
        print(
            f"stopped by hand, {points} points. Run the same command again to "
            "continue; minutes that are written already are replaced.",
            file=sys.stderr,
        )
        return 130
    finally:
        service.close()
    print(f"recalculated: {points} points")
    return 0
