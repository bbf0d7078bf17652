"""The last chapters: limits, evidence, glossary, reply, corrections and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qos_agent import __version__
from qos_agent.report.content.about import sources
from qos_agent.report.content.common import evidence_state
from qos_agent.report.document import (
    Block,
    Bullets,
    Column,
    Lines,
    Section,
    Table,
    Text,
    plain_rows,
)
from qos_agent.report.facts import Facts
from qos_agent.report.language import Words

_SIGNATURE_LINES = 1
_REPLY_LINES = 14
# Terms of docs/glossary.md that a reader of the report needs.
_TERMS = (
    ("station", "a polling station"),
    ("link", "one way out of the device: an interface or modem with its operator"),
    ("anchor", "a target outside of the operator's network"),
    ("reading", "the record of one measurement, with its outcome"),
    ("slot", "a moment at which a measurement is due"),
    ("availability", "share of the time in which a link had less than 20 % loss"),
    ("round-trip time", "time from sending a packet to receiving its answer"),
    ("packet loss", "share of packets without an answer within 3 s"),
    ("phase", "a part of the election in local time"),
    ("incident", "an outage of a link with two independent signs"),
    ("RSRP", "power of the reference signal of a mobile cell"),
    ("interval", "with 95 % of such samples, it contains the value of all stations"),
    ("seal", "a signed checkpoint of the journal of a device"),
    ("insufficient data", "fewer values than the minimum sample size"),
)


def limits(t: Words) -> Section:
    """Return the limits of the method."""
    return Section(
        t("Limits of the method"),
        (
            Bullets(
                (
                    t("A device measures its own place. Phones of voters may differ."),
                    t(
                        "Silence is not random: a bad network also causes missing"
                        " readings."
                    ),
                    t("Missing data is never estimated or filled in."),
                    t(
                        "Quantiles come from histograms: they lie in a bin, at"
                        " most the value."
                    ),
                    t(
                        "The time of a reading is that of the device. A reading without"
                        " a trusted clock has a mark in the archive."
                    ),
                    t(
                        "Different loads and hours also cause differences between"
                        " phases."
                    ),
                )
            ),
        ),
        starts_page=True,
    )


def evidence(facts: Facts, t: Words) -> Section:
    """Return the statement on the evidence, with the result of the verification."""
    found = facts.verification
    if found is None:
        text = t(
            "Not verified. No result of a verification was given. To verify an evidence"
            " bundle: qos-agent verify --json BUNDLE."
        )
        blocks: list[Block] = [Text(text, is_important=True)]
    else:
        state = t("VALID: every reading of the bundle is proven.")
        if not found.is_valid:
            state = t("NOT VALID: the verification found faults.")
        rows = [
            (t("Proven points"), t.number(found.points)),
            (t("Seals"), t.number(found.seals)),
            (t("Journals"), t.number(found.journals)),
            (t("Cosigned seals"), t.number(found.cosigned)),
            (t("Key of the witness"), found.witness or t("no witness")),
            (t("SHA-256 of the result"), found.sha256),
            *(
                (t("Faults: {kind}", kind=kind), t.number(n))
                for kind, n in found.faults
            ),
        ]
        columns = (Column(t("item")), Column(t("value"), weight=2.5))
        table = Table("verification", t("Verification"), columns, plain_rows(rows))
        blocks = [Text(state, is_important=True), table]
        if found.unproven(facts.readings):
            blocks.insert(1, Text(evidence_state(facts, t), is_important=True))
    blocks.append(sources(facts, t))
    return Section(t("Evidence"), tuple(blocks))


def glossary(t: Words) -> Section:
    """Return the terms of the report."""
    rows = plain_rows([(t(term), t(text)) for term, text in _TERMS])
    columns = (Column(t("term")), Column(t("meaning"), weight=3))
    return Section(t("Glossary"), (Table("glossary", t("Terms"), columns, rows),))


def reply(t: Words) -> Section:
    """Return the page for the reply of the operators."""
    return Section(
        t("Reply of the operators"),
        (
            Text(
                t(
                    "An operator may reply here. The regulator publishes the reply with"
                    " the report. Please name the page, the table and the row."
                )
            ),
            Lines(
                (t("Operator"), t("Name and position"), t("Place and date")),
                _REPLY_LINES,
            ),
        ),
        starts_page=True,
    )


def corrections(facts: Facts, t: Words) -> Section:
    """Return the versions of the report with their corrections."""
    version = t("This is version {version}.", version=facts.template.version)
    if not facts.template.corrections:
        text = version + " " + t("There are no corrections of an earlier version.")
        return Section(t("Corrections"), (Text(text),))
    columns = (
        Column(t("version"), weight=0.6),
        Column(t("date")),
        Column(t("change"), weight=3),
    )
    rows = plain_rows(
        [(v, t.date(day), text) for v, day, text in facts.template.corrections]
    )
    table = Table("corrections", t("Corrections"), columns, rows)
    return Section(t("Corrections"), (Text(version), table))


def conclusion(facts: Facts, t: Words) -> Iterator[Section]:
    """Yield the regulator's own text and the lines of the signatories."""
    if facts.template.conclusion:
        yield Section(t("Conclusion"), tuple(map(Text, facts.template.conclusion)))
    if facts.template.signatories:
        titles = tuple(
            f"{name}, {position}" for name, position in facts.template.signatories
        )
        yield Section(t("Signatures"), (Lines(titles, _SIGNATURE_LINES),))


def files(sha256: Mapping[str, str], facts: Facts, t: Words) -> Section:
    """Return the index of the files with their hashes."""
    columns = (Column(t("file"), weight=1), Column("SHA-256", weight=3.2))
    rows = plain_rows([*sorted(sha256.items()), ("archive.json", facts.archive_sha256)])
    note = t(
        "SHA256SUMS lists all files of the report, also this one. archive.json is the"
        " manifest of the archive that the report was made from."
    )
    table = Table("files", t("Files"), columns, rows, note)
    return Section(t("Index of files"), (table,))


def imprint(facts: Facts, t: Words) -> str:
    """Return the line that identifies the run."""
    return t(
        "Run {run}. Made with qos-agent {version} from the archive with the SHA-256"
        " {archive}. The same archive, template and options give the same bytes.",
        run=facts.run_id,
        version=__version__,
        archive=facts.archive_sha256,
    )
