"""`qos-agent noc config status` and `rollout`: what the devices have loaded."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_options import NocConfigOption, need_collectors
from qos_agent.cli.options import JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from qos_agent.noc.remote.following import Fleet, Standing
    from qos_agent.noc.remote.publishing import Publisher
    from qos_agent.noc.remote.state import State

_SHOWN = 20
BackOption = Annotated[
    str, typer.Option("--back", metavar="TIME", help="How far back to read heartbeats.")
]
HoldOption = Annotated[
    str,
    typer.Option("--hold", metavar="TIME", help="Minimum duration of a stage."),
]
ApplyOption = Annotated[
    bool,
    typer.Option("--apply", help="Publish the decision. Without it, only show it."),
]
StationArgument = Annotated[
    str | None, typer.Argument(help="Show this station; by default all.")
]


def status(
    station: StationArgument = None,
    back: BackOption = "2d",
    as_json: JsonOption = False,
    config: NocConfigOption = None,
) -> int:
    """Show which version each device has loaded.

    Shows since when, and names the devices that are behind. The exit status is 1 if
    a device is behind.
    """
    from qos_agent.model.units import seconds

    publisher, fleet = _opened(config)
    now_ns = time.time_ns()
    span = (now_ns - int(seconds(back) * 1e9), now_ns)
    state = _only(publisher.state(), station)
    found = [
        standing
        for standing in fleet.standings(state, span)
        if station is None or standing.device.station == station
    ]
    if as_json:
        print(json.dumps([_plain(standing) for standing in found]))
    else:
        _print(found)
    return 1 if any(standing.is_behind for standing in found) else 0


def rollout(
    hold: HoldOption = "1h",
    apply: ApplyOption = False,
    config: NocConfigOption = None,
) -> int:
    """Continue a staged roll-out, or withdraw it.

    The heartbeats of the devices decide. Run it every five minutes with --apply. It
    withdraws the new content if the stations of the stage work worse than all others.
    After the hold time it takes the next step: 1, 10, 50 and 100 percent. The exit
    status is 1 after a halt.
    """
    from qos_agent.model.units import seconds
    from qos_agent.noc.remote import changes
    from qos_agent.noc.remote.following import is_running, nothing
    from qos_agent.noc.remote.rollout import Decision, next_step
    from qos_agent.noc.remote.state import any_index

    publisher, fleet = _opened(config)
    now_s = int(time.time())
    with publisher.alone():
        state = publisher.state()
        index = any_index(state)
        running = is_running(index)
        outcome = fleet.outcome(state, now_s, seconds(hold)) if running else nothing()
        print(outcome)
        if apply and outcome.decision is Decision.HALT:
            done = publisher.change(changes.withdrawal, now_s, None)
            print(f"published: version {done.version}, without the new content")
        if apply and outcome.decision is Decision.ADVANCE:
            percent = next_step(index.percent)
            done = publisher.change(
                lambda s, t: changes.share(s, percent, t), now_s, None
            )
            print(f"published: version {done.version}, {percent:g} % of stations")
    return 1 if outcome.decision is Decision.HALT else 0


def _opened(config: Path | None) -> tuple[Publisher, Fleet]:
    from qos_agent.noc.remote.following import Fleet
    from qos_agent.noc.remote.publishing import Publisher
    from qos_agent.noc.settings import load

    settings = load(config)
    need_collectors(settings)
    return Publisher(settings), Fleet(settings)


def _only(state: State, station: str | None) -> State:
    """Return the province of a station, or all."""
    if station is None:
        return state
    return {code: index for code, index in state.items() if code == station[:2]}


def _print(found: list[Standing]) -> None:
    versions = Counter(standing.device.version for standing in found)
    for version, count in sorted(versions.items(), key=lambda item: item[0] or 0):
        print(f"{count} station(s) with content {version or 'of their own'}")
    behind = [standing for standing in found if standing.is_behind]
    print(f"{len(found)} station(s) heard, {len(behind)} behind")
    for standing in (behind if len(found) > 1 else found)[:_SHOWN]:
        device = standing.device
        print(
            f"{device.station}: content {device.version} since "
            f"{_moment(device.since_ns)}, accepted {device.seen}, wanted "
            f"{standing.wanted} of version {standing.newest}, last heartbeat "
            f"{_moment(device.heard_ns)}"
        )
    if len(behind) > _SHOWN:
        print(f"and {len(behind) - _SHOWN} more: use --json")


def _plain(standing: Standing) -> dict[str, object]:
    device = standing.device
    return {
        "station": device.station,
        "content": device.version,
        "since": _moment(device.since_ns),
        "accepted": device.seen,
        "wanted_content": standing.wanted,
        "version": standing.newest,
        "behind": standing.is_behind,
        "heard": _moment(device.heard_ns),
    }


def _moment(time_ns: int | None) -> str:
    if time_ns is None:
        return "unknown"
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"
