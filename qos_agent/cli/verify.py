"""`qos-agent verify`: checks an evidence bundle without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.options import JsonOption
from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.archive.bundle.journal_check import JournalReport
    from qos_agent.archive.bundle.verifying import Expected, Verdict

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The folder of the bundle.")
]
WitnessOption = Annotated[
    str | None,
    typer.Option(
        "--witness",
        metavar="KEY",
        help="The published key of the witness. The bundle must have the same one.",
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FILE",
        help="A published national root. The bundle must have the same one.",
    ),
]
TimestampOption = Annotated[
    Path | None,
    typer.Option(
        "--timestamp-ca",
        metavar="FILE",
        help="Certificates of the authority that timestamped the national root.",
    ),
]
_ROOT_MAX_BYTES = 64 * 1024
_SHOWN = 10


def verify(
    bundle: BundleArgument,
    witness: WitnessOption = None,
    root: RootOption = None,
    timestamp_ca: TimestampOption = None,
    as_json: JsonOption = False,
) -> int:
    """Verify an evidence bundle, without a network.

    Checks the files, each reading, seal, key, cosignature and the national root. The
    exit status is 0 only if everything is proven, 1 if anything is not, and 2 if the
    folder is no bundle.
    """
    from qos_agent.archive.bundle import verifying
    from qos_agent.cli.noc_options import Progress

    expected = _expected(witness, root)
    verdict = verifying.verify(bundle, expected, Progress("points"))
    stamped = 0
    if timestamp_ca is not None:
        stamped = _check_timestamps(bundle, timestamp_ca, verdict)
    if as_json:
        print(json.dumps(_table(verdict), indent=1))
    else:
        for line in _lines(verdict, expected):
            print(line)
        if timestamp_ca is not None:
            print(f"Timestamps of national roots that verify: {stamped}")
    return 0 if verdict.is_valid else 1


def _check_timestamps(bundle: Path, ca_file: Path, verdict: Verdict) -> int:
    """Return the number of roots with a correct timestamp, and report the others."""
    from qos_agent.archive.bundle import bag, layout
    from qos_agent.archive.bundle.findings import Kind
    from qos_agent.noc.witness import timestamps
    from qos_agent.system.files import read_bytes

    count = 0
    paths = sorted((bundle / bag.PAYLOAD / layout.ROOTS).glob("*.txt"))
    for path in paths:
        stamp = path.with_name(path.name + layout.TIMESTAMP_SUFFIX)
        # The centre keeps the timestamp of its newest root.
        if path != paths[-1] and not stamp.exists():
            continue
        try:
            timestamps.verify(path, read_bytes(stamp, _ROOT_MAX_BYTES), ca_file)
            count += 1
        except (timestamps.TimestampError, OSError) as error:
            text = f"{stamp.name}: {str(error).splitlines()[0]}"
            verdict.findings.detail(Kind.NATIONAL_ROOT, text)
    return count


def _expected(witness: str | None, root: Path | None) -> Expected:
    from qos_agent.archive.bundle.verifying import Expected
    from qos_agent.system.files import read_bytes

    if root is None:
        return Expected(witness)
    try:
        return Expected(witness, read_bytes(root, _ROOT_MAX_BYTES))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise ConfigError("--root", str(root), problem, "check the path") from error


def _lines(verdict: Verdict, expected: Expected) -> Iterator[str]:
    """Yield the result for a person: each journal, then the total and the verdict."""
    for report in verdict.journals:
        yield from _journal_lines(report)
    if verdict.findings:
        yield "The bundle as a whole:"
        yield from (f"  {line}" for line in verdict.findings.lines(_SHOWN))
    yield ""
    yield from _total_lines(verdict, expected)
    if verdict.is_valid:
        yield "VALID: every reading in this bundle is proven."
    else:
        counts = ", ".join(f"{n} {kind}" for kind, n in verdict.counts().items() if n)
        yield f"NOT VALID: {counts or 'no journal'}."


def _journal_lines(report: JournalReport) -> Iterator[str]:
    from qos_agent.archive.bundle.register import moment

    stations = ", ".join(report.stations[:_SHOWN]) or "unknown"
    state = "NOT VALID" if report.findings else "valid"
    yield f"station {stations}, device {report.device}: {state}"
    figures = (
        f"{report.proven} of {report.sealed} points proven by {report.seals} seals"
    )
    yield f"  journal {report.journal}: {figures}"
    if report.first_s is not None and report.last_s is not None:
        yield f"  sealed from {moment(report.first_s)} to {moment(report.last_s)}"
    if report.cosigned or report.confirmed:
        root = f"{report.confirmed} points in the national root"
        more = f", and in {report.roots - 1} earlier ones" if report.roots > 1 else ""
        yield f"  {report.cosigned} seals cosigned; {root}{more}"
    if report.removed:
        yield f"  {report.removed} points removed by the device, as it has sealed:"
        yield from (f"    {text}" for text in report.removals[:_SHOWN])
    if report.absent:
        yield f"  {report.absent} points removed before the first seal"
    yield from (f"  hand-over {text}" for text in report.handovers)
    yield from (f"  cosigning resumed {text}" for text in report.resumed)
    yield from (f"  {line}" for line in report.findings.lines(_SHOWN))


def _total_lines(verdict: Verdict, expected: Expected) -> Iterator[str]:
    from qos_agent.archive.bundle.verifying import totals

    sums = totals(verdict.journals)
    yield (
        f"Total: {sums['proven']} points proven by {sums['seals']} seals of"
        f" {sums['journals']} journals; {sums['cosigned']} seals cosigned;"
        f" {sums['in_national_root']} journals in the national root."
    )
    for reason, count in verdict.left_out.items():
        yield f"Not part of the record: {count} lines in data/left-out/{reason}.lp"
    if not verdict.has_register:
        yield "Register: none, so only the keys say which stations these are."
    if verdict.witness is None:
        yield "Witness: none. Only the keys of the devices vouch for the readings."
        return
    name, fingerprint = verdict.witness.name, verdict.witness.key.fingerprint
    compared = "as published" if expected.witness else "compare it, or use --witness"
    yield f"Witness: {name}, key {fingerprint} ({compared})."
    yield from _root_lines(verdict, expected)
    signed = "signed" if verdict.is_signed else "not signed"
    yield f"Files: {signed} by the centre."


def _root_lines(verdict: Verdict, expected: Expected) -> Iterator[str]:
    """Yield the newest root and the published one, and the number of the others."""
    roots = sorted(verdict.roots.values(), key=lambda one: one.checkpoint.origin)
    shown = 0
    for found in roots:
        tree = found.checkpoint
        is_published = expected.root == found.note.to_bytes()
        if not is_published and found is not roots[-1]:
            continue
        compared = "compare it, or use --root"
        if expected.root is not None:
            compared = "as published" if is_published else "the newest"
        yield f"National root: {tree.origin}, {tree.size - 1} journals ({compared})."
        shown += 1
    if len(roots) > shown:
        yield f"Other national roots with proofs: {len(roots) - shown}."


def _table(verdict: Verdict) -> dict[str, object]:
    """Return the result for a program."""
    from qos_agent.archive.bundle.verifying import totals

    return {
        "is_valid": verdict.is_valid,
        "totals": totals(verdict.journals),
        "faults": {str(kind): n for kind, n in verdict.counts().items()},
        "left_out": verdict.left_out,
        "is_signed": verdict.is_signed,
        "witness": verdict.witness.key.fingerprint if verdict.witness else None,
        "national_roots": [r.checkpoint.origin for r in verdict.roots.values()],
        "bundle": verdict.findings.table(),
        "journals": [_journal_table(report) for report in verdict.journals],
    }


def _journal_table(report: JournalReport) -> dict[str, object]:
    names = (
        "device",
        "journal",
        "stations",
        "proven",
        "sealed",
        "seals",
        "cosigned",
        "confirmed",
        "removed",
        "removals",
        "absent",
        "first_s",
        "last_s",
        "handovers",
        "resumed",
    )
    values = {name: getattr(report, name) for name in names}
    is_valid = not report.findings
    return {"is_valid": is_valid, **values, "faults": report.findings.table()}
