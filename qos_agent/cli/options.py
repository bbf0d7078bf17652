"""Options that several commands share, and the loading of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:  # pydantic costs 200 ms, which `--help` must not pay
    from qos_agent.config.loading import Loaded
    from qos_agent.system.language import Translator

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Read this configuration file (TOML)."
    ),
]
LanguageOption = Annotated[
    Literal["id", "en"] | None,
    typer.Option(
        "--language",
        "--lang",
        metavar="LANGUAGE",
        help="Language of the output, id or en; by default the locale.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def translator(language: Literal["id", "en"] | None) -> Translator:
    """Return the translator into a language; None is that of the locale."""
    from qos_agent.system.language import Translator, translator_for_locale

    return Translator(language) if language else translator_for_locale()


def load_configuration(path: Path | None) -> Loaded:
    """Return the configuration. Raises InvalidConfigError with a line per fault."""
    from qos_agent.config.loading import load
    from qos_agent.config.sources import Sources
    from qos_agent.probes.registry import PROBES

    return load(Sources.of_process(path), PROBES)
