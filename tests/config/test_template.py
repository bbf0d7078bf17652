"""The commented configuration shows every key with the value in force."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.loading import in_force, leaves, load
from qos_agent.config.sources import Sources
from qos_agent.config.template import commented
from qos_agent.probes.registry import PROBES
from qos_agent.schedule.jobs import DEFAULT_INTERVALS


def _in_force(path: Path) -> dict[str, Any]:
    loaded = load(Sources(path, {}, None), PROBES)
    return dict(leaves(in_force(loaded.settings, DEFAULT_INTERVALS)))


@pytest.fixture
def defaults(tmp_path: Path) -> dict[str, Any]:
    """Return every key and its value with an empty file."""
    path = tmp_path / "empty.toml"
    path.write_text("")
    return _in_force(path)


def _uncommented(text: str) -> Iterator[str]:
    """Yield tables and defaults; entries of lists are examples and left out."""
    in_entry = False
    for row in text.splitlines():
        in_entry = row.startswith("# [[") or (in_entry and row != "")
        if row.startswith("["):
            yield row
        elif not in_entry and re.match(r"# [a-z_]+ = \S", row):
            yield row.removeprefix("# ")


def test_uncommenting_every_default_changes_nothing(
    tmp_path: Path, defaults: dict[str, Any]
) -> None:
    """The file shows every default that is in force."""
    path = tmp_path / "agent.toml"
    path.write_text("\n".join(_uncommented(commented(DEFAULT_INTERVALS))))
    assert _in_force(path) == defaults
    assert len(load(Sources(path, {}, None), PROBES).origins) > 20


def test_the_template_contains_every_key(defaults: dict[str, Any]) -> None:
    """Every key of the settings is in the template."""
    text = commented(DEFAULT_INTERVALS)
    for key in defaults:
        name = key.rsplit(".", 1)[-1]
        assert re.search(rf"(?m)^# (\[\[)?([a-z]+\.)?{name}\b", text), key


def test_the_template_is_valid_toml_without_values() -> None:
    """All keys are comments, so an unchanged template gives the defaults."""
    assert not [v for _, v in leaves(tomllib.loads(commented(DEFAULT_INTERVALS)))]
