"""`qos-agent run` and `qos-agent once`: measure, and show it."""

from __future__ import annotations

import logging
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import ConfigOption, load_configuration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qos_agent.agent.agent import Agent
    from qos_agent.agent.status import Status
    from qos_agent.config.loading import Loaded
    from qos_agent.system.language import Words

WithoutOption = Annotated[
    list[str] | None, typer.Option("--without", help="Leave out this probe.")
]


def run(
    config: ConfigOption = None,
    for_: Annotated[
        str | None, typer.Option("--for", help="End after this time, such as 60s.")
    ] = None,
    without: WithoutOption = None,
) -> None:
    """Run the agent in the foreground; systemd runs the same."""
    from qos_agent.agent.agent import Agent
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import of_environment

    words = of_environment()
    loaded = load_configuration(config)
    for_s = _duration(for_)
    left_out = tuple(without or ())
    on_terminal = sys.stdout.isatty()
    _log_to_stdout(quiet=on_terminal)
    _announce(loaded, left_out, words)
    started_s = time.monotonic()
    while True:
        agent = Agent(loaded, system_clock(), left_out)
        _stop_on_signals(agent)
        status = _shown(agent, for_s, words) if on_terminal else agent.run(for_s)
        _summarise(status, time.monotonic() - started_s, words)
        if not agent.reload:
            return
        loaded = _reloaded(config, loaded)


def _stop_on_signals(agent: Agent) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())


def _reloaded(config: Path | None, before: Loaded) -> Loaded:
    """The configuration read again; the one in force where it has become bad."""
    from qos_agent.model.errors import InvalidConfigError

    try:
        return load_configuration(config)
    except InvalidConfigError as error:
        print(f"not reloaded: {error}", file=sys.stderr, flush=True)
        return before


def _duration(text: str | None) -> float | None:
    from qos_agent.model.errors import ConfigError
    from qos_agent.model.units import seconds

    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise ConfigError("--for", repr(text), str(error), "try --for 60s") from error


def _log_to_stdout(*, quiet: bool) -> None:
    """One line a reading; on a terminal the screen shows them, and only faults."""
    logging.basicConfig(
        level=logging.ERROR if quiet else logging.INFO,
        stream=sys.stdout,
        format="%(levelname)s %(message)s" if _under_systemd() else
        "%(asctime)s %(levelname)s %(message)s",
    )  # fmt: skip


def _under_systemd() -> bool:
    import os

    return "JOURNAL_STREAM" in os.environ or "INVOCATION_ID" in os.environ


def _announce(loaded: Loaded, without: tuple[str, ...], words: Words) -> None:
    """Say beforehand what a throughput test may cost."""
    from qos_agent.model import Phase
    from qos_agent.model.units import duration_text, size_text
    from qos_agent.schedule.jobs import interval

    settings = loaded.settings
    interval_s = interval(settings, Phase.IDLE, "throughput")
    if "throughput" in without or not interval_s:
        return
    data = settings.throughput.download_limit + settings.throughput.upload_limit
    every = words("every {interval}", interval=duration_text(interval_s))
    text = (
        "Throughput tests: at most {data} each, {interval}; leave them out with "
        "THROUGHPUT=off"
    )
    print(words(text, data=size_text(data), interval=every), flush=True)


def _shown(agent: Agent, for_s: float | None, words: Words) -> Status:
    from rich.live import Live

    from qos_agent.cli.screen import render

    with Live(refresh_per_second=2) as live:
        show: Callable[[Status], None] = lambda status: live.update(  # noqa: E731
            render(status, status.boot_ns, words)
        )
        return agent.run(for_s, show)


def _summarise(status: Status, lasted_s: float, words: Words) -> None:
    """due, ok, failed by cause, skipped by reason, stored, sent."""
    from qos_agent.model.units import duration_text

    def said(name: str, by: dict[str, int]) -> str:
        parts = ", ".join(f"{word} {count}" for word, count in sorted(by.items()))
        total = f"{words(name)} {status.outcomes.get(name, 0)}"
        return f"{total} ({parts})" if parts else total

    print(words("Summary after {duration}", duration=duration_text(lasted_s)) + ":")
    print(f"  {words('due')} {sum(status.outcomes.values())}")
    print(f"  {said('ok', {})}")
    print(f"  {said('failed', status.causes)}")
    print(f"  {said('skipped', status.reasons)}")
    print(f"  {words('stored')} {status.stored_points} {words('points')}")
    print(f"  {words('sent')} {status.sent_points} {words('points')}")


def once(
    config: ConfigOption = None,
    probe: Annotated[
        str | None, typer.Option("--probe", help="Only this probe.")
    ] = None,
) -> int:
    """Run one round now and print it; status 0 when every outcome was recorded."""
    from qos_agent.agent.agent import Agent
    from qos_agent.model.errors import ConfigError
    from qos_agent.probes.registry import PROBES
    from qos_agent.system.clock import system_clock

    if probe is not None and probe not in PROBES:
        allowed = ", ".join(PROBES)
        raise ConfigError("--probe", repr(probe), allowed, "choose one of them")
    loaded = load_configuration(config)
    _log_to_stdout(quiet=False)
    without = () if probe is None else set(PROBES) - {probe}
    agent = Agent(loaded, system_clock(), tuple(without))
    _stop_on_signals(agent)
    return 0 if agent.run_once() else 1
