"""Labels for devices: station, enrolment code as text and as QR code, and the command.

The sheet is a PDF by typst or an HTML file for the print dialogue of a browser. It
contains codes, so only its owner may read it. Everything in it is escaped: names come
from the register.
"""

from __future__ import annotations

import html
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from qos_agent.config.places import regencies
from qos_agent.model.enrolment_code import shown_code
from qos_agent.model.errors import ConfigError
from qos_agent.noc.provision.ledger import Issue
from qos_agent.noc.register.store import Entry

_INSTALL = "pip install 'qos-agent[noc]', or use another kind of file"
_HTML_HEAD = """\
<!doctype html>
<html lang="id"><head><meta charset="utf-8"><title>Label perangkat</title><style>
@page { size: A4; margin: 10mm }
body { margin: 0; font: 9pt/1.3 sans-serif; display: grid; gap: 3mm;
  grid-template-columns: 1fr 1fr }
div { border: 0.3mm dashed #999; padding: 3mm; height: 42mm; box-sizing: border-box;
  display: grid; grid-template-columns: 1fr 26mm; gap: 2mm; overflow: hidden;
  break-inside: avoid }
svg { width: 26mm; height: 26mm }
b { display: block; font: bold 13pt monospace; margin: 1mm 0 }
code { font-size: 7pt; overflow-wrap: anywhere }
</style></head><body>
"""
_HTML_LABEL = """\
<div><p style="margin:0">TPS {station}<br>{name}<br>{place}<b>{code}</b>
<code>sudo qos-agent enrol {code}{centre}</code><br>{until}</p>{qr}</div>
"""


@dataclass(frozen=True, slots=True)
class Label:
    """The content of a label, and its QR code as SVG."""

    station: str
    name: str
    place: str
    code: str
    centre: str
    until: str
    qr: str


def label_of(
    issue: Issue,
    entry: Entry,
    code: str,
    endpoint: str | None,
    *,
    own_authority: bool = False,
) -> Label:
    """Return the label of an issue. Raises ConfigError without segno.

    A device trusts an authority of the centre only with its file.
    """
    authority = " --ca-file trusted.pem" if own_authority else ""
    regency = regencies().get(entry.regency)
    return Label(
        station=entry.code,
        name=entry.name,
        place=regency.name if regency else entry.regency,
        code=shown_code(code),
        centre=f" --centre {endpoint}{authority}" if endpoint else "",
        until=f"Berlaku sampai {_date(issue.expires_s or 0)}",
        qr=qr_code(shown_code(code)),
    )


def qr_code(text: str) -> str:
    """Return a QR code as SVG, with the quiet zone of ISO/IEC 18004."""
    segno = _library("segno", "QR codes")
    stream = io.BytesIO()
    code = segno.make_qr(text, error="m", boost_error=False)
    code.save(stream, kind="svg", border=4, xmldecl=False, omitsize=True)
    return stream.getvalue().decode().strip()


def sheet_html(labels: Iterable[Label]) -> Iterator[bytes]:
    """Yield the parts of an HTML file with two columns of labels on A4."""
    yield _HTML_HEAD.encode()
    for label in labels:
        values = {key: html.escape(value) for key, value in asdict(label).items()}
        yield _HTML_LABEL.format(**{**values, "qr": label.qr}).encode()
    yield b"</body></html>\n"


def sheet_pdf(labels: Iterable[Label]) -> Iterator[bytes]:
    """Yield a PDF with two columns of labels on A4. Raises ConfigError without typst.

    The content is data for the template, so no name can be a command of typst.
    """
    typst = _library("typst", "PDF sheets")
    template = files("qos_agent.noc.provision") / "labels.typ"
    data = json.dumps([asdict(label) for label in labels])
    yield typst.compile(
        template.read_bytes(), sys_inputs={"labels": data}, ignore_system_fonts=True
    )


_KINDS: dict[str, Callable[[Iterable[Label]], Iterator[bytes]]] = {
    ".html": sheet_html,
    ".pdf": sheet_pdf,
}


def write_sheet(path: Path, labels: Iterable[Label]) -> int:
    """Write a sheet that only its owner may read, and return the number of labels.

    Raises ConfigError for another kind of file or a missing library, and OSError.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        fix = "name a file that ends in .pdf or .html"
        raise ConfigError("--sheet", repr(str(path)), "must be PDF or HTML", fix)
    found = list(labels)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(kind(found))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return len(found)


def _library(name: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        problem = f"{purpose} need the library {name}, which is not installed"
        raise ConfigError("--sheet", None, problem, _INSTALL) from None


def _date(at_s: int) -> str:
    import time

    return time.strftime("%d-%m-%Y", time.gmtime(at_s))
