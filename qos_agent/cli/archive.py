"""`qos-agent archive`: builds, checks and exports archives of readings."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.archive_lines import built_json, built_lines, checked_lines
from qos_agent.cli.options import JsonOption, load_configuration
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qos_agent.archive.exporting import Exported, Write
    from qos_agent.archive.sources import Item, Source
    from qos_agent.archive.sources.influx import Period

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SourceOption = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        metavar="SOURCE",
        help="Read from this file or folder: journals, line files or an archive. "
        "`journal` is the journal of this device, and `influx` are the collectors of "
        "noc.toml. May be repeated.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Read this configuration: agent.toml for `journal`, noc.toml for "
        "`influx`.",
    ),
]
ArchiveOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the archive.")
]
ArchiveArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The folder of the archive.")
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Leave out what is before this time, such as 2024-02-14T07:00:00+07:00.",
    ),
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="TIME", help="Read from InfluxDB up to this time, exclusive."
    ),
]
RateOption = Annotated[
    float,
    typer.Option(
        metavar="N", min=1, help="Read at most this many points a second from InfluxDB."
    ),
]
ExportOption = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FOLDER", help="Write into this folder."),
]
ExportSourceOption = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        metavar="SOURCE",
        help="Read from this archive, journal or line file. `journal` is the journal "
        "of this device, and `influx` are the collectors of noc.toml. A bundle may "
        "have several.",
    ),
]
BundleOption = Annotated[
    bool,
    typer.Option("--bundle", help="Write an evidence bundle with all proofs."),
]
KeysOption = Annotated[
    list[Path],
    typer.Option(
        "--keys",
        metavar="FILE",
        help="For a bundle, use the keys in this file, which `enrol --self` wrote, "
        "too. May be repeated.",
    ),
]
SealedOption = Annotated[
    list[str],
    typer.Option(
        "--sealed-by",
        metavar="KEYS",
        help="Leave out readings that no key in this file has sealed. `enrol --self` "
        "wrote it. `register` are the keys in the register of noc.toml. May be "
        "repeated.",
    ),
]
_DEFAULT_RATE = 20_000.0


class Format(StrEnum):
    """Formats of exports."""

    CSV = "csv"
    XLSX = "xlsx"
    LP = "lp"
    GEOJSON = "geojson"


FormatOption = Annotated[
    Format,
    typer.Option("--format", "-f", metavar="FORMAT", help="Format of the files."),
]


@app.command("build")
def build_command(
    source: SourceOption,
    out: ArchiveOption,
    from_time: FromOption = None,
    to_time: ToOption = None,
    rate: RateOption = _DEFAULT_RATE,
    sealed_by: SealedOption = [],  # noqa: B006  typer copies it
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Build or extend an archive of Parquet files.

    The same reading from several sources counts once. The exit status is 1 if a source
    has faults or if readings contradict each other. After an interruption the same
    command finishes the work.
    """
    from qos_agent.archive.build import build
    from qos_agent.archive.database import need_duckdb
    from qos_agent.cli.bundle import registered_keys
    from qos_agent.cli.noc_options import Progress

    need_duckdb()
    keys = registered_keys(config, sealed_by) if sealed_by else None
    sources = _sources(source, config, period_of(from_time, to_time), rate)
    built = build(sources, out, Progress("lines"), keys=keys)
    if as_json:
        print(built_json(built), end="")
    else:
        for line in built_lines(built, out):
            print(line)
    return 0 if built.is_sound else 1


@app.command("check")
def check_command(
    folder: ArchiveArgument,
    source: SourceOption = [],  # noqa: B006  typer copies it
    from_time: FromOption = None,
    to_time: ToOption = None,
    rate: RateOption = _DEFAULT_RATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Prove that an archive agrees with its sources.

    Its files are compared with its manifest, too. Without a source that is all. The
    exit status is 0 only if everything agrees.
    """
    import json
    from dataclasses import asdict

    from qos_agent.archive.checking import check
    from qos_agent.archive.database import need_duckdb
    from qos_agent.cli.noc_options import Progress

    need_duckdb()
    sources = _sources(source, config, period_of(from_time, to_time), rate)
    checked = check(sources, folder, Progress("lines"))
    if as_json:
        print(json.dumps({"agrees": checked.agrees, **asdict(checked)}, indent=1))
    else:
        for line in checked_lines(checked):
            print(line)
    return 0 if checked.agrees else 1


@app.command("export")
def export_command(
    source: ExportSourceOption,
    out: ExportOption,
    file_format: FormatOption = Format.CSV,
    from_time: FromOption = None,
    to_time: ToOption = None,
    bundle: BundleOption = False,
    keys: KeysOption = [],  # noqa: B006  typer copies it
    config: ConfigOption = None,
) -> int:
    """Export readings as files with checksums.

    Every format has the data dictionary. CSV and XLSX have a table for each
    measurement, `lp` has the canonical lines, and GeoJSON has stations and areas with
    their sums. To combine several sources, build an archive first. The exit status is 1
    if readings are missing or damaged. An evidence bundle has a layout of its own,
    which `qos-agent verify` checks.
    """
    period = period_of(from_time, to_time)
    if bundle:
        from qos_agent.cli.bundle import export_bundle

        sources = _sources(source, config, period, _DEFAULT_RATE)
        of_device = "journal" in source
        return export_bundle(sources, out, config, keys, of_device=of_device)
    if len(source) != 1:
        raise _several(f"{len(source)} sources")
    return _export_one(source[0], out, file_format, period, config)


def _export_one(
    source: str, out: Path, file_format: Format, period: Period, config: Path | None
) -> int:
    """Export one source in one of the formats."""
    from qos_agent.archive.exporting import export

    if file_format is Format.GEOJSON:
        exported = export(_geojson(Path(source), config, period), out)
        return _report(exported, [])
    if source == "journal":
        return export_journal(config, file_format, out, period)
    found = _sources([source], config, period, _DEFAULT_RATE)
    if len(found) != 1 and source != "influx":
        raise _several(f"{len(found)} sources in {source}")
    faults: list[str] = []
    items = (item for one in found for item in one.items())
    lines = _sound_lines(items, faults)
    exported = export(_writer(file_format, _within(lines, period)), out)
    return _report(exported, faults)


def _several(found: str) -> ConfigError:
    """Return the error of more than one source."""
    fix = "build an archive first: qos-agent archive build"
    return ConfigError("--source", found, "must be one source", fix)


def export_journal(
    config: Path | None, file_format: Format, out: Path, period: Period | None = None
) -> int:
    """Export the journal of this device, also its damaged lines as they are."""
    from qos_agent.archive.exporting import export
    from qos_agent.archive.sources.influx import Period
    from qos_agent.cli.pending import notice_of
    from qos_agent.journal.reader import EVERY_SEQ, reading

    folder = load_configuration(config).settings.journal.folder
    with reading(folder) as journal:
        lines = journal.lines(EVERY_SEQ)
        is_whole = period in (None, Period())
        chosen = lines if period is None else _within(lines, period)
        # A device whose points wait for a clock has none to export, which is no error.
        exported = export(_writer(file_format, chosen), out, may_be_empty=is_whole)
        return _report(exported, [], notice_of(journal))


def _writer(file_format: Format, lines: Iterable[bytes]) -> Write:
    from qos_agent.archive.csv import write_csv
    from qos_agent.archive.exporting import write_lines
    from qos_agent.archive.xlsx import write_xlsx

    writers = {
        Format.CSV: write_csv,
        Format.XLSX: write_xlsx,
        Format.LP: write_lines,
    }
    return partial(writers[file_format], lines)


def _geojson(archive: Path, config: Path | None, period: Period) -> Write:
    """Return the writer of GeoJSON, with positions from the register of noc.toml."""
    from qos_agent.archive.database import need_duckdb
    from qos_agent.archive.geojson import need_archive, write_geojson
    from qos_agent.cli.positions import positions

    need_duckdb()
    need_archive(archive)
    return lambda work: write_geojson(
        archive, work, positions(config), period.from_ns, period.to_ns
    )


def _sound_lines(items: Iterable[Item], faults: list[str]) -> Iterator[bytes]:
    """Yield the lines of a source, and note its faults."""
    for item in items:
        if item.line is None:
            faults.append(item.fault)
        else:
            yield item.line


def _within(lines: Iterable[bytes], period: Period) -> Iterator[bytes]:
    """Yield the lines in a period, and lines without a time."""
    for line in lines:
        time_text = line[line.rfind(b" ") + 1 :]
        is_time = time_text.lstrip(b"-").isdigit() and len(time_text) <= 20
        if not is_time or period.from_ns <= int(time_text) < period.to_ns:
            yield line


def _report(
    exported: Exported, faults: Sequence[str], notice: str | None = None
) -> int:
    """Print the result of an export, and return the exit status."""
    for name, count in sorted(exported.points.items()):
        unit = "" if name in ("stations", "areas") else " points"
        print(f"{name}: {count}{unit}")
    if notice is not None:
        print(notice)
    for fault in faults[:20]:
        print(fault, file=sys.stderr)
    folder = exported.folder
    print(f"Wrote {folder}. To check: cd {folder} && sha256sum -c SHA256SUMS")
    if exported.damaged:
        missing = f"{exported.damaged} damaged lines are only in points.lp"
        print(f"{missing}. To see the faults: qos-agent journal verify")
    return 1 if exported.damaged or faults else 0


def _sources(
    places: Sequence[str], config: Path | None, period: Period, rate: float
) -> list[Source]:
    """Return the sources of all places, each once. Raises OperatorError."""
    from qos_agent.archive.sources import open_sources
    from qos_agent.archive.sources.journal import DeviceJournal

    found: dict[str, Source] = {}
    for place in places:
        if place == "journal":
            folder = load_configuration(config).settings.journal.folder
            sources: Sequence[Source] = [DeviceJournal(folder)]
        elif place == "influx":
            sources = [*_collectors(config, period, rate)]
        else:
            sources = open_sources(Path(place))
        found |= {source.name: source for source in sources}
    return [*found.values()]


def _collectors(config: Path | None, period: Period, rate: float) -> Iterator[Source]:
    """Yield a source for each day and measurement of each collector in noc.toml."""
    from qos_agent.archive.columns import READINGS
    from qos_agent.archive.sources.influx import InfluxMeasurement
    from qos_agent.archive.sources.influx_days import days_of
    from qos_agent.cli.noc_options import need_collectors
    from qos_agent.influx.query import Server
    from qos_agent.noc.settings import load

    settings = load(config)
    need_collectors(settings)
    for section in settings.collectors:
        server = Server(section)
        for name in READINGS:
            yield from days_of(InfluxMeasurement(server, name, period, rate))


def period_of(from_time: str | None, to_time: str | None) -> Period:
    """Return the period of the options. Raises ConfigError if it is empty."""
    from qos_agent.archive.sources.influx import Period
    from qos_agent.cli.noc_options import moment_s

    whole = Period()
    period = Period(
        whole.from_ns if from_time is None else moment_s(from_time, "--from") * 10**9,
        whole.to_ns if to_time is None else moment_s(to_time, "--to") * 10**9,
    )
    if period.from_ns >= period.to_ns:
        raise ConfigError("--to", repr(to_time), "must be after --from", "swap the two")
    return period
