"""`qos-agent noc config`: publishes signed configuration for the devices."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.noc_config_fleet import rollout, status
from qos_agent.cli.noc_config_keys import add_set, keys, new_key, new_set, sign
from qos_agent.cli.noc_options import NocConfigOption, moment_s
from qos_agent.cli.options import JsonOption

if TYPE_CHECKING:
    from qos_agent.config.remote.index import Index, Pause
    from qos_agent.noc.remote.publishing import Change, Published, Publisher

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Publish signed configuration for the devices.",
)
app.command("status")(status)
app.command("rollout")(rollout)
app.command("keys")(keys)
app.command("new-key")(new_key)
app.command("new-set")(new_set)
app.command("add-set")(add_set)
app.command("sign")(sign)
PercentOption = Annotated[
    float,
    typer.Option(
        min=0,
        max=100,
        metavar="PERCENT",
        help="Share of the stations that receive the new content.",
    ),
]
PrepareOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Write unsigned files for two emergency keys instead of publishing.",
    ),
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FOLDER", help="Publish files that two people have signed."
    ),
]
RenewOption = Annotated[
    bool, typer.Option("--renew", help="Publish the same content again, valid longer.")
]
StationArgument = Annotated[
    str | None, typer.Argument(help="Show the settings that this station receives.")
]
UntilOption = Annotated[
    str,
    typer.Option(metavar="TIME", help="End, such as 2029-02-14T09:00:00+07:00."),
]
OperatorsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--operator", metavar="NAME", help="Only on links of this operator. Repeatable."
    ),
]
AreasOption = Annotated[
    list[str] | None,
    typer.Option(
        "--area", metavar="CODE", help="Only in this province or regency. Repeatable."
    ),
]
ProbesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--probe",
        metavar="PROBE",
        help="throughput or form; by default both. Repeatable.",
    ),
]
NameOption = Annotated[
    str,
    typer.Option(
        "--name", metavar="NAME", help="Name of the pause, to end or replace it."
    ),
]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Reason, for the people who ask.")
]


@app.command("publish")
def publish(
    percent: PercentOption = 100.0,
    renew: RenewOption = False,
    prepare: PrepareOption = None,
    from_: FromOption = None,
    config: NocConfigOption = None,
) -> int:
    """Check, sign and publish the source folder.

    With an unchanged folder, only the share of a roll-out changes. In voting and
    counting, devices take a new content only if two emergency keys have signed it.
    """
    publisher, now_s = _publisher(config), int(time.time())
    with publisher.alone():
        if publisher.complete():
            print("completed: the version that an earlier command did not finish")
        if from_ is not None:
            done = publisher.install(from_)
        elif renew:
            from qos_agent.noc.remote.changes import renewal

            done = publisher.change(renewal, now_s, prepare)
        else:
            done = publisher.content(percent, now_s, prepare)
    if not done.version:
        print("unchanged: the source folder is published already")
        return 0
    _report(done, prepare)
    if done.checked:
        print(
            f"checked: {done.checked} combinations of layers, {done.stations} stations "
            f"with a layer of their own, {done.files} new files"
        )
    return 0


@app.command("pause")
def pause(
    until: UntilOption,
    operator: OperatorsOption = None,
    area: AreasOption = None,
    probe: ProbesOption = None,
    name: NameOption = "national",
    reason: ReasonOption = "",
    config: NocConfigOption = None,
) -> int:
    """Pause throughput tests and test uploads.

    Every device skips them from its next check on, at most one cycle later. The
    pause ends by itself, also without a network.
    """
    from qos_agent.noc.remote import changes
    from qos_agent.noc.remote.pause_places import check_places
    from qos_agent.noc.settings import load

    now_s = int(time.time())
    new = _pause(name, until, operator, area, probe, reason, now_s)
    check_places(new, load(config).folder / "register.sqlite3", now_s)
    return _change(config, lambda s, t: changes.pause(s, new, t), now_s)


@app.command("resume")
def resume(
    name: Annotated[str, typer.Argument(help="Name of the pause.")] = "national",
    config: NocConfigOption = None,
) -> int:
    """End a pause before its time."""
    from qos_agent.noc.remote import changes

    return _change(config, lambda s, t: changes.resume(s, name, t), int(time.time()))


@app.command("withdraw")
def withdraw(config: NocConfigOption = None) -> int:
    """Withdraw the present content.

    Every device returns to the content before, in voting and counting too.
    """
    from qos_agent.noc.remote import changes

    return _change(config, changes.withdrawal, int(time.time()))


@app.command("show")
def show(
    station: StationArgument = None,
    as_json: JsonOption = False,
    config: NocConfigOption = None,
) -> None:
    """Show the published version and its pauses.

    With a station, show the settings that it receives, each with its layer.
    """
    from qos_agent.noc.remote.state import any_index

    publisher = _publisher(config)
    state = publisher.state()
    index = any_index(state)
    if station is not None:
        _show_station(publisher, station, as_json=as_json)
    elif as_json:
        print(index.model_dump_json(exclude={"scope", "content", "before"}))
    else:
        _show_index(index, len(state))


@app.command("diff")
def diff(config: NocConfigOption = None) -> int:
    """Compare the source folder with the published version.

    Prints a line for each difference. The exit status is 1 if there is one.
    """
    from qos_agent.noc.remote import difference, output, source, state

    publisher = _publisher(config)
    present = publisher.state()
    found = source.read(publisher.source, state.version_of(present) + 1)
    folder = publisher.published / output.FILES
    lines = list(
        difference.lines(
            present, found, lambda digest: (folder / f"{digest}.toml").read_bytes()
        )
    )
    print("\n".join(lines) or "no difference")
    return 1 if lines else 0


def _publisher(config: Path | None) -> Publisher:
    from qos_agent.noc.remote.publishing import Publisher
    from qos_agent.noc.settings import load

    return Publisher(load(config))


def _change(config: Path | None, change: Change, now_s: int) -> int:
    """Publish a change of the present version."""
    publisher = _publisher(config)
    with publisher.alone():
        publisher.complete()
        _report(publisher.change(change, now_s, None), None)
    return 0


def _report(done: Published, prepare: Path | None) -> None:
    if prepare is None:
        print(f"published: version {done.version}")
        return
    print(f"prepared: version {done.version} in {prepare}")
    print(
        "Two people sign it: qos-agent noc config sign FOLDER --key FILE. Then run: "
        f"qos-agent noc config publish --from {prepare}"
    )


def _pause(
    name: str,
    until: str,
    operators: list[str] | None,
    areas: list[str] | None,
    probes: list[str] | None,
    reason: str,
    now_s: int,
) -> Pause:
    """Return the pause of the options. Raises InvalidConfigError."""
    from qos_agent.config.faults import validated
    from qos_agent.config.remote.index import PAUSE_MAX, Pause
    from qos_agent.model.errors import ConfigError

    end_s = moment_s(until, "--until")
    if not 0 < end_s - now_s <= PAUSE_MAX.total_seconds():
        fix = "give a time in the future, and pause again before it ends"
        raise ConfigError("--until", repr(until), "must be within 72 hours", fix)
    table = {
        "name": name,
        "probes": tuple(probes or ("throughput", "form")),
        "start": datetime.fromtimestamp(now_s, UTC),
        "end": datetime.fromtimestamp(end_s, UTC),
        "operators": tuple(operators or ()),
        "areas": tuple(areas or ()),
        "reason": reason,
    }
    return validated(Pause, table, lambda _: "the options")


def _show_index(index: Index, provinces: int) -> None:
    print(f"version: {index.version}, of {index.issued:%Y-%m-%d %H:%M:%S}Z")
    print(f"valid until: {index.valid_until:%Y-%m-%d %H:%M:%S}Z")
    print(f"key set: {index.key_set}")
    print(f"content: version {index.content.version}, {index.percent:g} % of stations")
    if index.before is not None:
        print(f"content before: version {index.before.version}")
    if index.withdrawn:
        print(f"withdrawn: {', '.join(map(str, index.withdrawn))}")
    print(f"indexes: {provinces}")
    for found in index.pause:
        where = ", ".join((*found.operators, *found.areas)) or "all"
        probes = ", ".join(found.probes)
        print(
            f"pause {found.name}: {probes} of {where} until "
            f"{found.end:%Y-%m-%d %H:%M:%S}Z"
        )


def _show_station(publisher: Publisher, station: str, *, as_json: bool) -> None:
    from qos_agent.config.loading import leaves
    from qos_agent.config.remote.in_force import of_content
    from qos_agent.config.remote.store import Store
    from qos_agent.model.errors import ConfigError

    index = publisher.state().get(station[:2])
    if index is None:
        problem, fix = "is in no known province", "use the 13-digit code"
        raise ConfigError("STATION", repr(station), problem, fix)
    store = Store(publisher.published, publisher.keys(), lambda key: key)
    remote = of_content(store, index.chosen(station), station)
    values = {
        key: {"value": value, "layer": layer.origin}
        for layer in remote.layers
        for key, value in leaves(layer.values)
    }
    if as_json:
        print(json.dumps({"version": remote.version, "settings": values}, default=str))
        return
    print(f"content: version {remote.version}, hash {remote.hash}")
    for key, found in sorted(values.items()):
        print(f"{key} = {json.dumps(found['value'], default=str)}  # {found['layer']}")
