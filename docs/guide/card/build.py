"""Builds the technician's card as PDF, in English and Indonesian.

`make card` runs this with typst, which needs no other library. Equal sources give equal
bytes. The PDF has the digest of its sources as a keyword, so that a test finds a card
that is out of date.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "id")
_SOURCES = ("card.typ", "texts.toml")


def digest() -> str:
    """Return the digest of the sources."""
    content = b"".join((FOLDER / name).read_bytes() for name in _SOURCES)
    return hashlib.sha256(content).hexdigest()[:16]


def path(language: str) -> Path:
    """Return the file of the card in a language."""
    return FOLDER / f"card-{language}.pdf"


def main() -> None:
    """Write both files."""
    import typst

    for language in LANGUAGES:
        content = typst.compile(
            FOLDER / "card.typ",
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs={"language": language, "digest": digest()},
        )
        path(language).write_bytes(content)
        print(f"{path(language).name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
