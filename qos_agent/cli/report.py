"""`qos-agent report`: the figures of an archive, with their sample sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.archive import FromOption, period_of
from qos_agent.model.errors import ConfigError
from qos_agent.report.sums import Selection
from qos_agent.report.writing import Format, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qos_agent.archive.exporting import Exported

SourceOption = Annotated[
    Path,
    typer.Option(
        "--source", "-s", metavar="FOLDER", help="Read the archive in this folder."
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Write into this folder.")
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="TIME", help="Leave out what is at or after this time."
    ),
]
AreaOption = Annotated[
    str | None,
    typer.Option(
        metavar="CODE", help="Report only this province (31) or regency (3171)."
    ),
]
OperatorOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Report only links of this operator.")
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="Format of the tables: csv, or xlsx for one workbook.",
    ),
]
RandomOption = Annotated[
    bool,
    typer.Option(
        "--random",
        help="The stations of each area are a simple random sample of all its "
        "stations. Without this, no figure has an interval for all stations.",
    ),
]
RegisterOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Compare the stations with this register, a file of `noc register "
        "export`. It has the strata of the sample.",
    ),
]
SparkOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Add up on Spark: local[2], spark://HOST:PORT, or sc://HOST:PORT.",
    ),
]


def report(  # noqa: PLR0913, PLR0917  each parameter is an option
    source: SourceOption,
    out: OutOption,
    from_time: FromOption = None,
    to_time: ToOption = None,
    area: AreaOption = None,
    operator: OperatorOption = None,
    file_format: FormatOption = Format.CSV,
    is_random: RandomOption = False,
    register: RegisterOption = None,
    spark: SparkOption = None,
) -> int:
    """Write the figures of an archive with their sample sizes.

    The figures are those of the nation, provinces and regencies, with and without
    operator and phase. An archive is built by `archive build`. The same archive gives
    the same bytes.
    """
    from qos_agent.archive.database import need_duckdb
    from qos_agent.archive.exporting import export

    need_duckdb()
    period = period_of(from_time, to_time)
    chosen = Selection(period.from_ns, period.to_ns, _known(area), operator)
    exported = export(
        lambda work: write_report(
            source,
            work,
            chosen,
            file_format,
            is_random=is_random,
            register=register,
            spark=spark,
        ),
        out,
    )
    for line in _lines(exported):
        print(line)
    return 0


def _known(area: str | None) -> str | None:
    """Return the code of an area. Raises ConfigError for an unknown one."""
    from qos_agent.config.places import provinces, regencies

    if area is None or area in provinces() or area in regencies():
        return area
    raise ConfigError(
        "--area",
        repr(area),
        "is not the code of a province or a regency",
        "use a code such as 31 or 3171",
    )


def _lines(exported: Exported) -> Iterator[str]:
    """Yield the result for a person."""
    counts = exported.points
    yield f"Stations with readings: {counts['stations']}."
    insufficient = f"{counts['insufficient']} with insufficient data"
    yield f"Figures: {counts['figures']}, {insufficient}."
    yield f"Stations without readings for an indicator: {counts['missing']} cases."
    folder = exported.folder
    yield f"Wrote {folder}. To check: cd {folder} && sha256sum -c SHA256SUMS"
