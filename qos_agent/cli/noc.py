"""`qos-agent noc`: the register of stations, the census with its sums, a simulator."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, moment_s
from qos_agent.cli.noc_register import register
from qos_agent.cli.noc_simulate import simulate
from qos_agent.errors import ConfigError

app = typer.Typer(
    help="For the operations centre: register, census, roll-ups, a simulated nation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(register, name="register")
app.command("simulate")(simulate)


@app.command("census")
def census(
    once: Annotated[bool, typer.Option("--once", help="One minute, then end.")] = False,
    recompute: Annotated[
        tuple[str, str] | None, typer.Option(help="Sum again FROM TO, then end.")
    ] = None,
    config: NocConfigOption = None,
) -> int:
    """Count who reports, and sum what they measured, each minute."""
    import logging
    import signal
    import threading

    from qos_agent.noc.run import run
    from qos_agent.noc.service import Service
    from qos_agent.noc.settings import load

    settings = load(config)
    if not settings.collectors:
        raise ConfigError("collectors", "nothing", "[[collectors]]", "add one")
    if settings.rollup.url is None:
        raise ConfigError("rollup.url", "nothing", "a URL", "set rollup.url")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    service = Service(settings)
    if recompute is not None:
        from_ns, to_ns = (moment_s(text) * 10**9 for text in recompute)
        for stretch in service.recompute(from_ns, to_ns):
            print(f"province {stretch.province}: to {stretch.to_ns // 10**9}")
        return 0
    if once:
        report = service.minute(time.time_ns())
        print(report)
        return 1 if report.failed else 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(service, stop)
    return 0
