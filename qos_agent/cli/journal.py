"""`qos-agent journal`: inspects, verifies, exports and requeues the local journal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from qos_agent.cli.options import ConfigOption, JsonOption, load_configuration
from qos_agent.cli.pending import notice_of

if TYPE_CHECKING:
    from qos_agent.journal.reader import Reader, Stats

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
CountOption = Annotated[
    int,
    typer.Option("-n", "--lines", metavar="N", min=1, help="Print this many points."),
]
AfterOption = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", help="Write only points with a higher number than this."
    ),
]
FileArgument = Annotated[
    Path | None,
    typer.Argument(help="The file to write. The default is standard output."),
]
FirstOption = Annotated[
    int | None,
    typer.Option(
        "--from", metavar="NUMBER", help="Requeue the points from this number on."
    ),
]
LastOption = Annotated[
    int | None,
    typer.Option(
        "--to",
        metavar="NUMBER",
        help="Requeue the points up to this number, else only --from.",
    ),
]


def _folder(config: Path | None) -> Path:
    return load_configuration(config).settings.journal.folder


@app.command("stats")
def stats(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what is stored, pending, refused and removed."""
    from qos_agent.journal.reader import reading

    with reading(_folder(config)) as journal:
        statistics = journal.stats()
        notice = notice_of(journal)
    if as_json:
        print(json.dumps(asdict(statistics), default=_text))
    else:
        _print(statistics, notice)


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _print(statistics: Stats, notice: str | None) -> None:
    from qos_agent.model.units import size_text

    print(f"journal {statistics.journal}: {size_text(statistics.file_bytes)}")
    print(f"points {statistics.points}, waiting for a clock {statistics.pending}")
    if notice is not None:
        print(notice)
    for name, count in statistics.undelivered.items():
        print(f"pending for {name}: {count}")
    for kind in statistics.kinds:
        span = f"{_moment(kind.first_ns)} to {_moment(kind.last_ns)}"
        print(f"{kind.measurement:<12} {kind.points:>8}  {span}")
    for refusal in statistics.refused:
        print(f"refused by {refusal.collector}: point {refusal.seq}: {refusal.message}")
    for removal in statistics.removals:
        span = f"{_moment(removal.first_ns)} to {_moment(removal.last_ns)}"
        points = f"{removal.points} {removal.measurement}"
        print(f"removed ({removal.reason}): {points}, {span}")


def _moment(time_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="seconds")


@app.command("tail")
def tail(
    config: ConfigOption = None, lines: CountOption = 20, as_json: JsonOption = False
) -> None:
    """Print the newest points as line protocol."""
    from qos_agent.journal.reader import EVERY_SEQ, reading

    with reading(_folder(config)) as journal:
        for line in journal.lines(EVERY_SEQ, lines):
            print(_as_json(line) if as_json else _text(line))
        _print_notice(journal)


def _print_notice(journal: Reader) -> None:
    """Print to standard error what is missing in the output, which is for programs."""
    notice = notice_of(journal)
    if notice is not None:
        print(notice, file=sys.stderr)


def _as_json(line: bytes) -> str:
    from qos_agent.model.line_protocol import decode

    try:
        return json.dumps(asdict(decode(line)))
    except ValueError:
        return json.dumps({"damaged": _text(line)})


@app.command("export")
def export(
    file: FileArgument = None,
    config: ConfigOption = None,
    after: AfterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all points exactly as stored.

    The output is line protocol, which `influx write` accepts.
    """
    from qos_agent.journal.reader import EVERY_SEQ, reading

    after_seq = EVERY_SEQ if after is None else after
    folder = _folder(config)
    _need_other_file(file, folder)
    with reading(folder) as journal, _output(file) as output:
        for line in journal.lines(after_seq):
            output.write((_as_json(line).encode() if as_json else line) + b"\n")
        _print_notice(journal)


@contextmanager
def _output(file: Path | None) -> Iterator[BinaryIO]:
    """Open the file, or standard output, whose errors `main.run` reports."""
    if file is None:
        with suppress(OSError):
            yield sys.stdout.buffer
        return
    is_device = file.exists() and not file.is_file()
    part = file if is_device else file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as output:
            yield output
        if not is_device:
            part.replace(file)
    except OSError as error:
        # An error of writing has no name of its own.
        raise OSError(error.errno, error.strerror, str(file)) from error
    finally:
        if not is_device:
            part.unlink(missing_ok=True)


def _need_other_file(file: Path | None, folder: Path) -> None:
    """Refuse a file of the journal or a key, under any name. Raises ConfigError."""
    from qos_agent.evidence import keys
    from qos_agent.journal.tables import FILE_NAME
    from qos_agent.model.errors import ConfigError

    if file is None:
        return
    names = (*(f"{FILE_NAME}{end}" for end in ("", "-wal", "-shm")), keys.FILE_NAME)
    own = [*(folder / name for name in names), *keys.retired_keys(folder)]
    is_own = file.exists() and any(p.exists() and file.samefile(p) for p in own)
    if is_own or file.resolve() in (path.resolve() for path in own):
        problem, fix = "is a file of the journal", "name another file"
        raise ConfigError(str(file), None, problem, fix)


@app.command("verify")
def verify(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Check the file, hashes, numbers, tree and seals.

    Checks the structure of the file, the hash and the format of each point, and that
    no number is missing. Then checks that the tree and each seal match the points, and
    the signatures with the device's keys. The exit status is 1 if there is a fault.
    """
    from qos_agent.evidence.keys import public_keys
    from qos_agent.journal.reader import reading

    folder = _folder(config)
    keys = public_keys(folder)
    with reading(folder) as journal:
        verdict = journal.verify(keys)
    if as_json:
        print(json.dumps(asdict(verdict)))
    else:
        seals = f", {verdict.seals} seals" if verdict.seals else ""
        if verdict.seals and not keys:
            seals += ", signatures not checked because there is no key"
        print("\n".join(verdict.faults) or f"ok: {verdict.points} points{seals}")
    return 1 if verdict.faults else 0


@app.command("requeue")
def requeue(
    config: ConfigOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue points for delivery again.

    Queues the points that the collector refused, or a range of points by number.
    """
    from qos_agent.journal import reader

    count = reader.requeue(_folder(config), first, last)
    print(json.dumps({"points": count}) if as_json else f"queued again: {count}")
