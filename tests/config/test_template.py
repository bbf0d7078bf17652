"""The commented configuration says what is in force, for every key there is."""

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
    """Every key and what is in force with an empty file."""
    path = tmp_path / "empty.toml"
    path.write_text("")
    return _in_force(path)


def _uncommented(text: str) -> Iterator[str]:
    """Tables and defaults; an entry of a list is an example, not a default."""
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
    """The file documents the defaults that are in force, to the last one."""
    path = tmp_path / "agent.toml"
    path.write_text("\n".join(_uncommented(commented(DEFAULT_INTERVALS))))
    assert _in_force(path) == defaults
    assert len(load(Sources(path, {}, None), PROBES).origins) > 20


def test_every_key_stands_in_the_sample(defaults: dict[str, Any]) -> None:
    """No key is left for a technician to guess."""
    text = commented(DEFAULT_INTERVALS)
    for key in defaults:
        name = key.rsplit(".", 1)[-1]
        assert re.search(rf"(?m)^# (\[\[)?([a-z]+\.)?{name}\b", text), key


def test_the_sample_is_toml_as_it_stands() -> None:
    """Written and loaded untouched, it is the defaults: all keys are comments."""
    assert not [v for _, v in leaves(tomllib.loads(commented(DEFAULT_INTERVALS)))]
