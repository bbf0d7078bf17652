"""A report as PDF/A-3a and PDF/UA-1 with Typst, with its data attached.

The document is data for the template, so no text can be a command of Typst. Only the
fonts inside the package typst are used.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qos_agent.model.errors import OperatorError
from qos_agent.report.document import Block, Document, Picture, Section, Table
from qos_agent.report.language import Words

_STANDARDS: Any = ["a-3a", "ua-1"]
# Larger data stays in its own file next to the PDF.
_ATTACHED_MAX_BYTES = 20_000_000
_MIME = {".csv": "text/csv", ".json": "application/json"}
_NO_TYPST = "typst: this package is missing. Fix: pip install 'qos-agent[report]'."


def need_typst() -> None:
    """Raise OperatorError if Typst is not installed."""
    try:
        import typst  # noqa: F401  a device does not have it
    except ImportError:
        raise OperatorError(_NO_TYPST) from None


def write_pdf(
    path: Path, document: Document, run: str, attached: Sequence[Path], t: Words
) -> None:
    """Write the file with other files attached. Raises OperatorError and OSError."""
    with TemporaryDirectory(prefix="qos-agent-") as name:
        folder = Path(name)
        chosen = [*_attachments(attached)]
        for file in chosen:
            shutil.copyfile(file, folder / file.name)
        content = _content(document, run, chosen, folder, t)
        text = json.dumps(content, ensure_ascii=False)
        (folder / "content.json").write_text(text, encoding="utf-8")
        template = files("qos_agent.report.render") / "report.typ"
        (folder / "report.typ").write_bytes(template.read_bytes())
        path.write_bytes(_compiled(folder))


def _attachments(attached: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that fit into the PDF."""
    left = _ATTACHED_MAX_BYTES
    for path in attached:
        size = path.stat().st_size
        if size <= left:
            left -= size
            yield path


def _compiled(folder: Path) -> bytes:
    need_typst()
    import typst

    try:
        content, warnings = typst.compile_with_warnings(
            folder / "report.typ",
            root=folder,
            format="pdf",
            ignore_system_fonts=True,
            pdf_standards=_STANDARDS,
        )
    except typst.TypstError as error:
        problem = " ".join(str(error.message).split())[:300]
        raise OperatorError(
            f"PDF: Typst refused the document ({problem}). Fix: replace the logo of the"
            " template, or use --format html."
        ) from error
    for warning in warnings:
        if "font family" in warning.message:
            raise OperatorError(
                f"PDF: {warning.message}. Fix: pip install --force-reinstall typst."
            )
    return bytes(content)


def _content(
    document: Document, run: str, attached: Sequence[Path], folder: Path, t: Words
) -> Mapping[str, Any]:
    """Return the data of the template, and write its pictures into the folder."""
    sections = [_section(section, folder) for section in document.sections]
    logo = ""
    if document.logo:
        logo = f"logo.{document.logo_kind}"
        (folder / logo).write_bytes(document.logo)
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "language": document.language,
        "ministry": document.ministry,
        "logo": logo,
        "date": [document.day.year, document.day.month, document.day.day],
        "run": run,
        "footer": t("{title} · run {run}", title=document.title, run=run),
        "contents": t("Contents"),
        "has_contents": document.has_contents,
        "imprint": document.imprint,
        "sections": [s for s in sections if s["blocks"]],
        "attached": [
            {
                "name": path.name,
                "mime": _MIME.get(path.suffix, "application/octet-stream"),
                "description": t("Data of the report: {name}", name=path.name),
            }
            for path in attached
        ],
    }


def _section(section: Section, folder: Path) -> Mapping[str, Any]:
    shown = [b for b in section.blocks if not (isinstance(b, Table) and b.is_long)]
    return {
        "title": section.title,
        "level": section.level,
        "starts_page": section.starts_page,
        "blocks": [_block(block, folder) for block in shown],
    }


def _block(block: Block, folder: Path) -> Mapping[str, Any]:
    kind = {"kind": type(block).__name__}
    if isinstance(block, Picture):
        name = f"{block.name}.svg"
        (folder / name).write_bytes(block.svg)
        texts = {
            key: getattr(block, key) for key in ("name", "caption", "alt", "width")
        }
        return {**kind, **texts, "file": name}
    return {**kind, **asdict(block)}
