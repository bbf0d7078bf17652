"""`qos-agent journal`: look into the local store, check it, send again from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration

if TYPE_CHECKING:  # the journal is for the command that needs it
    from qos_agent.journal.reader import Stats

app = typer.Typer(
    help="Look into the local store of readings, check it, send again from it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
CountOption = Annotated[int, typer.Option("-n", "--lines", min=1, help="How many.")]
AfterOption = Annotated[int | None, typer.Option(help="Only points after this number.")]
FileArgument = Annotated[
    Path | None, typer.Argument(help="Where to write; standard output by default.")
]
FirstOption = Annotated[
    int | None, typer.Option("--from", help="First number of a span to send again.")
]
LastOption = Annotated[int | None, typer.Option("--to", help="Its last number.")]


def _folder(config: Path | None) -> Path:
    return load_configuration(config).settings.journal.folder


@app.command("stats")
def stats(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what is stored, owed, refused and removed."""

    from qos_agent.journal.reader import reading

    with reading(_folder(config)) as journal:
        found = journal.stats()
    if as_json:
        print(json.dumps(asdict(found), default=bytes.decode))
    else:
        _print(found)


def _print(found: Stats) -> None:
    from qos_agent.model.units import size_text

    print(f"journal {found.journal}: {size_text(found.file_bytes)}")
    print(f"points {found.points}, waiting for a clock {found.pending}")
    for name, count in found.undelivered.items():
        print(f"owed to {name}: {count}")
    for kind in found.kinds:
        span = f"{_moment(kind.first_ns)} to {_moment(kind.last_ns)}"
        print(f"{kind.measurement:<12} {kind.points:>8}  {span}")
    for refusal in found.refused:
        print(f"refused by {refusal.collector}: point {refusal.seq}: {refusal.message}")
    for gone in found.removals:
        span = f"{_moment(gone.first_ns)} to {_moment(gone.last_ns)}"
        print(f"removed ({gone.reason}): {gone.points} {gone.measurement}, {span}")


def _moment(time_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="seconds")


@app.command("tail")
def tail(
    config: ConfigOption = None, lines: CountOption = 20, as_json: JsonOption = False
) -> None:
    """Print the newest points as they are stored: canonical line protocol."""
    from qos_agent.journal.reader import EVERY_SEQ, reading

    with reading(_folder(config)) as journal:
        for line in journal.lines(EVERY_SEQ, lines):
            print(_as_json(line) if as_json else line.decode())


def _as_json(line: bytes) -> str:
    from qos_agent.model.line_protocol import decode

    return json.dumps(asdict(decode(line)))


@app.command("export")
def export(
    file: FileArgument = None,
    config: ConfigOption = None,
    after: AfterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all points, byte for byte as stored, for `influx write` or an archive."""
    from qos_agent.journal.reader import EVERY_SEQ

    first = EVERY_SEQ if after is None else after
    from qos_agent.journal.reader import reading

    with reading(_folder(config)) as journal, _output(file) as out:
        for line in journal.lines(first):
            out.write((_as_json(line).encode() if as_json else line) + b"\n")


@contextmanager
def _output(file: Path | None) -> Iterator[BinaryIO]:
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with file.open("wb") as out:
        yield out


@app.command("verify")
def verify(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Check the file, each point's hash and form, and that no number is missing."""

    from qos_agent.journal.reader import reading

    with reading(_folder(config)) as journal:
        verdict = journal.verify()
    if as_json:
        print(json.dumps(asdict(verdict)))
    else:
        print("\n".join(verdict.faults) or f"well: {verdict.points} points")
    return 1 if verdict.faults else 0


@app.command("requeue")
def requeue(
    config: ConfigOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send again what the collector refused, or a span of points by their numbers."""
    from qos_agent.journal import reader

    count = reader.requeue(_folder(config), first, last)
    print(json.dumps({"points": count}) if as_json else f"to be sent again: {count}")
