"""Output of `qos-agent archive build` and `archive check`, for people and programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qos_agent.archive.build import Built
    from qos_agent.archive.checking import Checked
    from qos_agent.archive.manifest import SourceState

# The end of the name of a source that is one day of an InfluxDB.
_DAY = re.compile(r"/\d{4}-\d\d-\d\d$")


def built_lines(built: Built, out: Path) -> Iterator[str]:
    """Yield what a person needs to know about a build."""
    by_name: dict[str, list[SourceState]] = {}
    for source in built.manifest.sources:
        by_name.setdefault(_DAY.sub("", source.name), []).append(source)
    for name, sources in by_name.items():
        yield f"{name}: {sum(source.readings for source in sources)} readings"
        for source in sources:
            yield from _fault_lines(source)
    for conflict in built.conflicts:
        yield f"conflict: {conflict}"
    if built.manifest.conflicts:
        yield (
            f"Readings in conflict: {built.manifest.conflicts}. They are only in the"
            " file conflicts-*.lp."
        )
    for reason, count in sorted((built.manifest.left_out or {}).items()):
        yield f"Left out, {reason}: {count} readings. They are in left-out-*.lp."
    readings = sum(built.manifest.readings.values())
    files = sum(1 for file in built.manifest.files if file.readings)
    yield f"Wrote {out}: {readings} readings in {files} files."


def _fault_lines(source: SourceState) -> Iterator[str]:
    hidden = source.faulty - len(source.faults)
    for fault in (*source.faults, *source.at_end):
        yield f"  {fault}"
    if hidden:
        yield f"  and {hidden} more"


def built_json(built: Built) -> str:
    """Return the result of a build for a program."""
    import json
    from dataclasses import asdict

    table = json.loads(built.manifest.to_text())
    del table["files"]
    found = [asdict(conflict) for conflict in built.conflicts]
    table = {"is_sound": built.is_sound, **table, "first_conflicts": found}
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def checked_lines(checked: Checked) -> Iterator[str]:
    """Yield the result of a check for a person."""
    yield f"Readings in the archive: {checked.readings}. Sources: {checked.sources}."
    seals = f"{checked.seals_matching} match, {checked.seals_open} lack readings"
    yield f"Seals with a Merkle root: {seals}."
    for name, finding in checked.findings().items():
        if not finding.count:
            continue
        yield f"{name}: {finding.count}"
        yield from (f"  {text}" for text in finding.first)
        if finding.count > len(finding.first):
            yield f"  and {finding.count - len(finding.first)} more"
    if not checked.agrees:
        yield "The archive does NOT agree."
    elif checked.sources:
        yield "Archive, manifest and sources agree."
    else:
        yield "Archive and manifest agree. To compare with sources, add --source."
