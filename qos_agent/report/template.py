"""The regulator's own template: a TOML file with logo, names, thresholds and texts.

Paths in the file are relative to its folder. Without a file, a report has no ministry,
no thresholds and no map borders.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from qos_agent.config import text_file, toml_file
from qos_agent.config.faults import invalid, validated
from qos_agent.config.thresholds import LegalStatus
from qos_agent.config.types import Section, Text
from qos_agent.model.errors import ConfigError
from qos_agent.report.borders import Borders, read_borders
from qos_agent.report.thresholds import Threshold, limited

_LOGOS = {".svg", ".png", ".jpg", ".jpeg"}
_PARAGRAPHS_MAX = 20
_TABLES_MAX = 100
_Name = Annotated[Text, Field(pattern=r"\S", max_length=200)]


class _Signatory(Section):
    """A person who signs the report."""

    name: _Name
    position: _Name


class _Threshold(Section):
    """A limit of an indicator, with the source and the legal status of its value."""

    indicator: _Name
    at_least: float | None = Field(None, ge=-1e15, le=1e15, strict=True)
    at_most: float | None = Field(None, ge=-1e15, le=1e15, strict=True)
    unit: str
    source: _Name
    legal_status: LegalStatus

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise invalid("must have either at_least or at_most", key="at_least")
        limited(self.indicator, self.unit, is_least=self.at_least is not None)
        return self

    def threshold(self) -> Threshold:
        """Return the threshold."""
        is_least = self.at_least is not None
        limit = self.at_least if self.at_least is not None else self.at_most
        return Threshold(
            self.indicator,
            float(limit or 0),
            is_least,
            self.source,
            self.legal_status,
        )


class _Correction(Section):
    """A change of an earlier published version."""

    version: _Name
    published: date
    change: Text


class _File(Section):
    """The content of a template."""

    ministry: str = Field("", max_length=200)
    title: str = Field("", max_length=200)
    version: str = Field("1", max_length=40)
    logo: str = ""
    boundaries: str = ""
    boundaries_source: str = Field("", max_length=200)
    introduction: tuple[Text, ...] = Field((), max_length=_PARAGRAPHS_MAX)
    conclusion: tuple[Text, ...] = Field((), max_length=_PARAGRAPHS_MAX)
    signatories: tuple[_Signatory, ...] = Field((), max_length=_PARAGRAPHS_MAX)
    thresholds: tuple[_Threshold, ...] = Field((), max_length=_TABLES_MAX)
    corrections: tuple[_Correction, ...] = Field((), max_length=_TABLES_MAX)


@dataclass(frozen=True, slots=True)
class Template:
    """The content of a template. `sha256` covers all files that it names."""

    ministry: str = ""
    title: str = ""
    version: str = "1"
    logo: bytes = b""
    logo_kind: str = ""
    borders: Borders | None = None
    borders_source: str = ""
    introduction: tuple[str, ...] = ()
    conclusion: tuple[str, ...] = ()
    signatories: tuple[tuple[str, str], ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    corrections: tuple[tuple[str, date, str], ...] = ()
    sha256: str = ""


def load(path: Path | None) -> Template:
    """Read a template; None is the empty one. Raises OperatorError."""
    if path is None:
        return Template()
    content = toml_file.read_bytes(path, "check the path of the template")
    file = validated(_File, toml_file.parse(path, content), lambda _: str(path))
    logo = _part(path, "logo", file.logo)
    borders = _part(path, "boundaries", file.boundaries)
    kind = Path(file.logo).suffix.lower()
    if logo and kind not in _LOGOS:
        fix = "name a file that ends in .svg, .png or .jpg"
        raise ConfigError("logo", repr(file.logo), "must be a picture", fix)
    digest = hashlib.sha256(content + logo + borders).hexdigest()
    return Template(
        file.ministry,
        file.title,
        file.version,
        logo,
        kind.removeprefix("."),
        read_borders(borders, file.boundaries) if borders else None,
        file.boundaries_source,
        file.introduction,
        file.conclusion,
        tuple((s.name, s.position) for s in file.signatories),
        tuple(t.threshold() for t in file.thresholds),
        tuple((c.version, c.published, c.change) for c in file.corrections),
        digest,
    )


def _part(template: Path, key: str, name: str) -> bytes:
    """Return the content of a file that the template names. Raises ConfigError."""
    if not name:
        return b""
    path = template.parent / name
    fix = f"correct {key} in {template}"
    try:
        content = text_file.read_bytes(path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigError(key, repr(name), problem, fix) from error
    except ValueError as error:
        raise ConfigError(key, repr(name), str(error), fix) from error
    if not content:
        raise ConfigError(key, repr(name), "is an empty file", fix)
    return content
