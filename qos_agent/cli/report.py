"""`qos-agent report`: the regulator's report of an archive, and dossiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.archive import FromOption, period_of
from qos_agent.model.errors import ConfigError
from qos_agent.report.language import LANGUAGES
from qos_agent.report.writing import Format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qos_agent.archive.exporting import Exported
    from qos_agent.archive.sources.influx import Period
    from qos_agent.report.facts import Election, Facts
    from qos_agent.report.language import Code

SourceOption = Annotated[
    Path,
    typer.Option(
        "--source", "-s", metavar="FOLDER", help="Read the archive in this folder."
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Write into this folder.")
]
ElectionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Report the period of this election: a shipped calendar such as "
        "2024-02-14, or a calendar file.",
    ),
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
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="LIST",
        help="Formats of the pages, such as pdf,xlsx,html. Tables as CSV and JSON are "
        "always written; csv writes nothing else.",
    ),
]
LanguageOption = Annotated[
    str, typer.Option("--lang", metavar="id|en", help="Language of the pages.")
]
RandomOption = Annotated[
    bool,
    typer.Option(
        "--random",
        help="The stations of each area are a simple random sample of all its "
        "stations. Without this, no figure has an interval for all stations.",
    ),
]
TemplateOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Use the regulator's template: logo, names, thresholds, map and texts.",
    ),
]
VerificationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Quote this result of `qos-agent verify --json`. Without it, the report "
        "states that the evidence is not verified.",
    ),
]
IncidentOption = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Write only the dossier of this incident, for its operator."
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
_ALL_FORMATS = "pdf,xlsx,html"


def report(  # noqa: PLR0913, PLR0917  each parameter is an option
    source: SourceOption,
    out: OutOption,
    election: ElectionOption = None,
    from_time: FromOption = None,
    to_time: ToOption = None,
    area: AreaOption = None,
    operator: OperatorOption = None,
    language: LanguageOption = "id",
    formats: FormatOption = _ALL_FORMATS,
    is_random: RandomOption = False,
    template: TemplateOption = None,
    verification: VerificationOption = None,
    incident: IncidentOption = None,
    register: RegisterOption = None,
    spark: SparkOption = None,
) -> int:
    """Write the report of an archive: pages, tables and checksums.

    The figures are those of the nation, provinces and regencies, with and without
    operator and phase. An archive is built by `archive build`. The same archive gives
    the same bytes.
    """
    from qos_agent.archive.database import need_duckdb
    from qos_agent.config.operators import operator_code
    from qos_agent.report.facts import gather
    from qos_agent.report.selection import Selection
    from qos_agent.report.template import load
    from qos_agent.report.verification import read_verification

    need_duckdb()
    chosen_formats = _formats(formats)
    code = _language(language)
    found = _election(election)
    period = _period(found, period_of(from_time, to_time))
    name = None if operator is None else operator_code(operator)
    chosen = Selection(period.from_ns, period.to_ns, _known(area), name)
    own = load(template)
    verified = None if verification is None else read_verification(verification)
    _need_libraries(chosen_formats)
    facts = gather(
        source,
        chosen,
        own,
        election=found,
        is_random=is_random,
        verification=verified,
        register=register,
        spark=spark,
    )
    if incident is not None:
        exported = _write_dossier(facts, source, out, incident, chosen_formats, code)
    else:
        exported = _write(facts, out, chosen_formats, code)
    for line in _lines(exported, facts, incident):
        print(line)
    return 0


def _write(facts: Facts, out: Path, formats: Sequence[Format], code: Code) -> Exported:
    from qos_agent.archive.exporting import export
    from qos_agent.report.writing import write_pages, write_report

    return export(
        lambda work: write_report(
            facts, work, lambda folder: write_pages(facts, folder, formats, code)
        ),
        out,
    )


def _write_dossier(
    facts: Facts,
    archive: Path,
    out: Path,
    name: str,
    formats: Sequence[Format],
    code: Code,
) -> Exported:
    """Write the dossier of an incident. Raises ConfigError for an unknown one."""
    from qos_agent.archive.exporting import export
    from qos_agent.report.content.dossier import AROUND_NS, end_of
    from qos_agent.report.readings import open_readings
    from qos_agent.report.writing import write_dossier

    found = {place.incident.incident_id: place for place in facts.incidents}
    if name not in found:
        known = ", ".join([*found][:5]) or "none"
        fix = f"use one of the table of incidents: {known}"
        raise ConfigError("--incident", repr(name), "is not in this report", fix)
    place = found[name]
    stations = sorted({outage.station for outage in place.outages})
    first_ns = place.incident.start_ns - AROUND_NS
    last_ns = end_of(place, facts) + AROUND_NS
    with open_readings(archive, facts.chosen) as readings:
        operator = place.incident.operator or ""
        around = readings.around(stations, operator, first_ns, last_ns)
    return export(
        lambda work: write_dossier(facts, place, around, work, formats, code), out
    )


def _formats(text: str) -> tuple[Format, ...]:
    """Return the formats of a list. Raises ConfigError."""
    known = {str(one): one for one in Format}
    names = [name.strip().lower() for name in text.split(",")]
    if unknown := [name for name in names if name not in known]:
        fix = f"use some of {', '.join(known)}, such as {_ALL_FORMATS}"
        raise ConfigError("--format", repr(unknown[0]), "is not a format", fix)
    return tuple(dict.fromkeys(known[name] for name in names))


def _language(text: str) -> Code:
    """Return the language. Raises ConfigError for one without translations."""
    for code in LANGUAGES:
        if code == text:
            return code
    fix = f"use {' or '.join(LANGUAGES)}"
    raise ConfigError("--lang", repr(text), "is not a language of the report", fix)


def _election(name: str | None) -> Election | None:
    """Return the election of a calendar. Raises InvalidConfigError."""
    from qos_agent.config.calendar_file import find, load
    from qos_agent.report.facts import Election

    if name is None:
        return None
    path = find(name)
    return Election(path.stem, load(path))


def _period(election: Election | None, period: Period) -> Period:
    """Return the part of a period that is in the election. Raises ConfigError."""
    from qos_agent.archive.sources.influx import Period

    if election is None:
        return period
    from_ns, to_ns = election.limits()
    both = Period(max(from_ns, period.from_ns), min(to_ns, period.to_ns))
    if both.from_ns >= both.to_ns:
        problem = "has no time between --from and --to"
        fix = "correct --from and --to, or name another election"
        raise ConfigError("--election", repr(election.name), problem, fix)
    return both


def _need_libraries(formats: Sequence[Format]) -> None:
    """Raise OperatorError before any work if a library or a font is missing."""
    from qos_agent.report.drawing import need_matplotlib
    from qos_agent.report.render.pdf import need_typst

    if {Format.PDF, Format.HTML, Format.XLSX} & {*formats}:
        need_matplotlib()
    if Format.PDF in formats:
        need_typst()


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


def _lines(exported: Exported, facts: Facts, incident: str | None) -> Iterator[str]:
    """Yield the result for a person."""
    counts = exported.points
    if incident is None:
        yield f"Stations with readings: {counts['stations']}."
        insufficient = f"{counts['insufficient']} with insufficient data"
        yield f"Figures: {counts['figures']}, {insufficient}."
        yield f"Stations without readings for an indicator: {counts['missing']} cases."
        yield f"Incidents: {len(facts.incidents)}."
    folder = exported.folder
    yield f"Wrote {folder}. To check: cd {folder} && sha256sum -c SHA256SUMS"
