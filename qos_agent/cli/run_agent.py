"""`qos-agent run` and `qos-agent once`: measure and show the results."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import ConfigOption, load_configuration
from qos_agent.cli.output import write_in_background
from qos_agent.cli.pending import pending_notice
from qos_agent.cli.ping_note import print_ping_note
from qos_agent.system.signals import handle_signals, is_service

if TYPE_CHECKING:
    from pathlib import Path

    from qos_agent.agent.agent import Agent
    from qos_agent.agent.status import Status
    from qos_agent.config.loading import Loaded
    from qos_agent.system.language import Translator

_MOST_FAILED = "Most measurements failed. To find the reason: qos-agent doctor"
ForOption = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="TIME", help="Stop after this time, for example 60s or 2h."
    ),
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without", metavar="PROBE", help="Do not run this probe. Repeat for several."
    ),
]
ProbeOption = Annotated[
    str | None, typer.Option("--probe", metavar="PROBE", help="Run only this probe.")
]

_IN_MEMORY = "The journal was in memory only. All readings that were not sent are lost."


def run(
    config: ConfigOption = None,
    for_: ForOption = None,
    without: WithoutOption = None,
) -> int:
    """Run the agent in the foreground.

    On a terminal it shows a live screen, otherwise it logs one line per reading. The
    systemd service runs this command. SIGTERM, Ctrl-C or the loss of the terminal end
    it with all readings stored. In a service, SIGHUP reloads the configuration. The
    exit status is 1 if the journal was in memory only.
    """
    from qos_agent.agent.agent import Agent
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import translator_for_locale

    translate = translator_for_locale()
    loaded = load_configuration(config)
    for_s = _duration(for_)
    disabled = tuple(without or ())
    on_terminal = sys.stdout.isatty()
    write_in_background()
    _log_to_stdout(errors_only=on_terminal)
    _announce(loaded, disabled, translate)
    print_ping_note(loaded.settings, disabled, translate)
    _report_empty_token(loaded)
    control = _Control()
    started_s = time.monotonic()
    while True:
        clock = system_clock()
        agent = control.attach(Agent(loaded, clock, disabled))
        status = _shown(agent, for_s, translate) if on_terminal else agent.run(for_s)
        _summarise(status, time.monotonic() - started_s, translate)
        print_ping_note(loaded.settings, disabled, translate)
        notice = pending_notice(status.figures.pending_points, clock, translate)
        if notice is not None:
            print(f"  {notice}")
        if not agent.reload or control.ended:
            return 1 if status.figures.in_memory else 0
        loaded = _reloaded(config, loaded, translate)


class _Control:
    """The signals of this process, which act on the present agent."""

    def __init__(self) -> None:
        self.ended = False
        self._agent: Agent | None = None
        handle_signals(self._end, self._reload if is_service() else None)

    def attach(self, agent: Agent) -> Agent:
        """Let the signals act on this agent; those since the last one count too."""
        self._agent = agent
        if self.ended:
            agent.stop()
        return agent

    def _end(self) -> None:
        self.ended = True
        if self._agent is not None:
            self._agent.stop()

    def _reload(self) -> None:
        if self._agent is not None:
            self._agent.request_reload()


def _reloaded(config: Path | None, current: Loaded, translate: Translator) -> Loaded:
    """Read the configuration again; keep the current one if the new one is invalid."""
    from qos_agent.model.errors import InvalidConfigError

    try:
        return load_configuration(config)
    except InvalidConfigError as error:
        text = translate("The configuration was not reloaded")
        print(f"{text}: {error}", file=sys.stderr, flush=True)
        return current


def _duration(text: str | None) -> float | None:
    from qos_agent.model.errors import ConfigError
    from qos_agent.model.units import seconds

    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise ConfigError("--for", repr(text), str(error), "try --for 60s") from error


def _log_to_stdout(*, errors_only: bool) -> None:
    """Log one line per reading; errors only if a screen shows the readings."""
    from qos_agent.cli.log import TIMED_LINE, log_to

    level = logging.ERROR if errors_only else logging.INFO
    log_to(sys.stdout, 1, level, TIMED_LINE)


def _announce(loaded: Loaded, disabled: tuple[str, ...], translate: Translator) -> None:
    """Print how much data a throughput test may use, before the first one."""
    from qos_agent.model import Phase
    from qos_agent.model.units import duration_text, size_text
    from qos_agent.schedule.jobs import interval

    settings = loaded.settings
    interval_s = interval(settings, Phase.IDLE, "throughput")
    if "throughput" in disabled or not interval_s:
        return
    data = settings.throughput.download_limit + settings.throughput.upload_limit
    every = translate("every {interval}", interval=duration_text(interval_s))
    text = (
        "Throughput tests use at most {data} each, {interval}. To disable them: "
        "qos-agent run --without throughput"
    )
    print(translate(text, data=size_text(data), interval=every), flush=True)


def _report_empty_token(loaded: Loaded) -> None:
    """Log that systemd found no token; the unit then gives the service an empty one."""
    collector = loaded.settings.collector
    from_systemd = loaded.origins.get("collector.token") == "credentials"
    if from_systemd and collector.url is not None and not collector.current_token():
        logging.getLogger(__name__).warning(
            "collector.token: missing or empty, so the collector may refuse points. "
            "Fix: write it to /etc/qos-agent/collector.token, then run sudo systemctl "
            "restart qos-agent"
        )


def _shown(agent: Agent, for_s: float | None, translate: Translator) -> Status:
    """Run with the screen, which is started and ended where its errors stop nothing."""
    from qos_agent.cli.screen import LiveScreen
    from qos_agent.system.supervision import Supervisor

    screen = LiveScreen(translate)
    try:
        return agent.run(for_s, screen.show)
    finally:
        Supervisor().call("screen", screen.close)


def _summarise(status: Status, lasted_s: float, translate: Translator) -> None:
    """Print counts of tasks by outcome, cause and reason, and of points."""
    from qos_agent.model.units import duration_text

    def outcome(name: str, details: dict[str, int]) -> str:
        parts = ", ".join(f"{word} {count}" for word, count in sorted(details.items()))
        total = f"{translate(name)} {status.outcomes.get(name, 0)}"
        return f"{total} ({parts})" if parts else total

    duration = duration_text(lasted_s)
    print(translate("Summary after {duration}", duration=duration) + ":")
    print(f"  {translate('due')} {sum(status.outcomes.values())}")
    print(f"  {outcome('ok', {})}")
    print(f"  {outcome('failed', status.causes)}")
    print(f"  {outcome('skipped', status.reasons)}")
    stored = f"{status.stored_points} {translate('points (readings and events)')}"
    print(f"  {translate('stored')} {stored}")
    print(f"  {translate('sent')} {status.sent_points} {translate('points')}")
    if status.figures.in_memory:
        print(f"  {translate(_IN_MEMORY)}")
    if 2 * status.outcomes.get("failed", 0) > sum(status.outcomes.values()):
        print(f"  {translate(_MOST_FAILED)}")


def once(config: ConfigOption = None, probe: ProbeOption = None) -> int:
    """Run one round of measurements and print the readings.

    Runs every probe of the present phase, also the throughput test, which uses the
    data allowance. Use --probe to run only one. The exit status is 0 if every reading
    was recorded, also if some have failed.
    """
    from qos_agent.agent.agent import Agent
    from qos_agent.model.errors import ConfigError
    from qos_agent.probes.registry import PROBES
    from qos_agent.system.clock import system_clock
    from qos_agent.system.language import translator_for_locale

    if probe is not None and probe not in PROBES:
        raise ConfigError(
            "--probe", repr(probe), "is not a probe", f"use one of {', '.join(PROBES)}"
        )
    loaded = load_configuration(config)
    write_in_background()
    _log_to_stdout(errors_only=False)
    disabled = () if probe is None else set(PROBES) - {probe}
    print_ping_note(loaded.settings, disabled, translator_for_locale())
    agent = _Control().attach(Agent(loaded, system_clock(), tuple(disabled)))
    tasks = agent.run_once()
    if probe is not None and tasks == 0:
        problem = "has no task in the present phase"
        fix = "set its interval and what it measures; see qos-agent config show"
        raise ConfigError("--probe", repr(probe), problem, fix)
    return 1 if tasks is None else 0
