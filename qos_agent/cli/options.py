"""Options that several commands share, and how they find the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # pydantic costs 200 ms, which `--help` must not pay
    from qos_agent.config.loading import Loaded

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (TOML)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs to read.")]


def load_configuration(path: Path | None) -> Loaded:
    """The configuration in force. Raises InvalidConfigError, a line for each fault."""
    from qos_agent.config.loading import load
    from qos_agent.config.sources import Sources
    from qos_agent.probes.registry import PROBES

    return load(Sources.of_process(path), PROBES)
