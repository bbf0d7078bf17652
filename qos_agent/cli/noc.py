"""`qos-agent noc`: the register of stations, the census with its sums, a simulator."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, moment_s, need_collectors
from qos_agent.cli.noc_register import register
from qos_agent.cli.noc_simulate import simulate
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.noc.service.service import Service

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

    from qos_agent.noc.service.loop import run
    from qos_agent.noc.service.service import Service
    from qos_agent.noc.settings import load

    span = _span(*recompute) if recompute is not None else None
    settings = load(config)
    need_collectors(settings)
    if settings.rollup.url is None:
        raise ConfigError("rollup.url", "nothing", "a URL", "set rollup.url")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    service = Service(settings)
    if span is not None:
        return _sum_again(service, *span)
    if once:
        report = service.minute(time.time_ns())
        print(report)
        return 1 if report.failed else 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(service, stop)
    return 0


def _span(begins: str, ends: str) -> tuple[int, int]:
    """Two moments in their order, in nanoseconds."""
    from_s, to_s = moment_s(begins), moment_s(ends)
    if from_s >= to_s:
        raise ConfigError(
            "--recompute", f"{begins} to {ends}", "FROM before TO", "swap them"
        )
    return from_s * 10**9, to_s * 10**9


def _sum_again(service: Service, from_ns: int, to_ns: int) -> int:
    """Sum a span again, a line a stretch; what stands in the way is raised."""
    for words in service.expired(from_ns):
        print(words, file=sys.stderr)
    points = 0
    try:
        for stretch, count in service.recompute(from_ns, to_ns):
            points += count
            at = datetime.fromtimestamp(stretch.to_ns // 10**9, UTC).isoformat()
            print(f"province {stretch.province}: to {at}, {count} points", flush=True)
    except KeyboardInterrupt:
        print(
            f"stopped by hand, {points} points; sums are replaced whole: "
            "the same command again makes the rest",
            file=sys.stderr,
        )
        return 130
    finally:
        service.close()
    print(f"summed again: {points} points")
    return 0
