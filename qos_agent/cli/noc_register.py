"""`qos-agent noc register`: which stations there are, and what is noted of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qos_agent.cli.noc_options import (
    NocConfigOption,
    Progress,
    moment_s,
    need_collectors,
    need_writable,
)
from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qos_agent.noc.register.store import Register

register = typer.Typer(
    help="Which stations there are.", no_args_is_help=True, rich_markup_mode=None
)
_FAULTS_SHOWN = 50


def _open(config: Path | None) -> Register:
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import load

    return Register(load(config).folder / "register.sqlite3")


@register.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="CSV of stations.")],
    apply: Annotated[bool, typer.Option("--apply", help="Not only show.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Import the sound rows, leave the rest.")
    ] = False,
    close_missing: Annotated[
        bool, typer.Option(help="Close stations that the file does not have.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--from", help="When it holds from; now.")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="Every fault as a CSV; else the first 50.")
    ] = None,
    config: NocConfigOption = None,
) -> int:
    """Check a CSV, show what it would change, and with --apply change it."""
    from qos_agent.noc.register.importing import described, stage, write_faults

    if partial and close_missing:
        raise ConfigError("--close-missing", "with --partial", "a whole file",
                          "mend the rows first: theirs are not missing")  # fmt: skip
    need_writable(faults=faults)
    at_s = moment_s(since) if since else int(time.time())
    store = _open(config)
    found = stage(store, path, Progress("rows"))
    if faults is not None:
        write_faults(found.faults, faults)
    for fault in found.faults[:_FAULTS_SHOWN]:
        print(fault)
    if (more := len(found.faults) - _FAULTS_SHOWN) > 0:
        print(f"… and {more} more faults: --faults FILE.csv has all of them")
    for line in described(store.difference()):
        print(line)
    if found.faults and not partial:
        print("nothing imported: mend the rows above, or leave them out by --partial")
        return 1
    if not apply:
        print("nothing imported yet: the same command with --apply does it")
        return 0
    store.apply(at_s, close_missing=close_missing)
    print(f"imported: {sum(store.expected(at_s).values())} stations are expected")
    return 0


@register.command("show")
def show(
    station: Annotated[str, typer.Argument(help="13 digits.")],
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show a station through time."""
    rows = _open(config).history(station)
    if as_json:
        print(json.dumps(rows))
    elif not rows:
        print(f"{station}: no such station")
    for row in () if as_json else rows:
        print(", ".join(f"{name}={value}" for name, value in _shown(row)))
    return 0 if rows else 1


@register.command("count")
def count(config: NocConfigOption = None, as_json: JsonOption = False) -> None:
    """Count the stations expected now, by province."""
    from qos_agent.config.places import provinces

    totals: dict[str, int] = {}
    for regency, number in _open(config).expected(int(time.time())).items():
        totals[regency[:2]] = totals.get(regency[:2], 0) + number
    if as_json:
        print(json.dumps(totals))
        return
    for province, number in sorted(totals.items()):
        print(f"{province} {provinces()[province]}: {number}")
    print(f"{sum(totals.values())} stations")


@register.command("note")
def note(
    kind: Annotated[Literal["maintenance", "acknowledged"], typer.Argument()],
    scope: Annotated[str, typer.Argument(help="Station, regency or province code.")],
    since: Annotated[str, typer.Option("--from")],
    until: Annotated[str, typer.Option("--to")],
    words: Annotated[str, typer.Option(help="Who and why.")],
    config: NocConfigOption = None,
) -> None:
    """Record planned maintenance or that someone has taken a trouble on.

    It is shown beside the stations; none of them leaves a denominator.
    """
    from qos_agent.noc.register.store import Note

    from_s, to_s = moment_s(since), moment_s(until)
    if from_s >= to_s:
        raise ConfigError("--to", f"{since} to {until}", "after --from", "swap them")
    store = _open(config)
    if not _is_known(scope, store):
        raise ConfigError(
            "scope", repr(scope), "a province, a regency, or a registered station",
            "give its 2, 4 or 13 digits",
        )  # fmt: skip
    store.note(Note(kind, scope, from_s, to_s, words))
    print(f"{kind} of {scope}: recorded")


@register.command("notes")
def notes(
    every: Annotated[bool, typer.Option("--all", help="Those that ended too.")] = False,
    config: NocConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show planned maintenance and acknowledgements, the newest first."""
    from dataclasses import asdict

    now_s = int(time.time())
    found = [
        (number, note)
        for number, note in _open(config).all_notes()
        if every or note.ends > now_s
    ]
    if as_json:
        print(json.dumps([{"number": number} | asdict(note) for number, note in found]))
        return
    for number, each in found:
        print(f"{number}: {each.kind} of {each.scope}, {_when(each.starts)} to "
              f"{_when(each.ends)}: {each.words}")  # fmt: skip


@register.command("end-note")
def end_note(
    number: Annotated[int, typer.Argument(help="As `notes` shows it.")],
    config: NocConfigOption = None,
) -> int:
    """End a note now: the work is done, the trouble is over."""
    done = _open(config).end_note(number, int(time.time()))
    print(f"{number}: " + ("ended" if done else "no such note; see `notes --all`"))
    return 0 if done else 1


@register.command("close")
def close(
    station: Annotated[str, typer.Argument(help="13 digits.")],
    since: Annotated[
        str | None, typer.Option("--from", help="When it closes; now.")
    ] = None,
    config: NocConfigOption = None,
) -> int:
    """Close a station: it is expected no more, and its history stays."""
    at_s = moment_s(since) if since else int(time.time())
    done = _open(config).close_station(station, at_s)
    print(f"{station}: " + ("closed" if done else "no such station then"))
    return 0 if done else 1


@register.command("mismatches")
def mismatches(config: NocConfigOption = None, as_json: JsonOption = False) -> int:
    """List stations that report from another area than they are registered in."""
    from dataclasses import asdict

    from qos_agent.noc.census.mismatches import mismatches as found_in
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import load

    settings = load(config)
    need_collectors(settings)
    store = Register(settings.folder / "register.sqlite3")
    found = list(found_in(settings, store, time.time_ns()))
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
    for each in () if as_json else found:
        print(each)
    return 1 if found else 0


def _is_known(scope: str, store: Register) -> bool:
    """Whether a note on it would be shown anywhere."""
    from qos_agent.config.places import provinces, regencies

    return scope in provinces() or scope in regencies() or bool(store.history(scope))


def _shown(row: dict[str, object]) -> Iterator[tuple[str, object]]:
    """A row's values for a person."""
    for name, value in row.items():
        if value:
            yield name, _when(value) if isinstance(value, int) else value


def _when(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
