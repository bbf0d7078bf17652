"""No configuration can aim a test at the servers of the election commission."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from qos_agent.config.loading import load
from qos_agent.config.settings import Settings
from qos_agent.config.sources import Sources
from qos_agent.config.types import is_election_commission
from qos_agent.model.errors import InvalidConfigError
from qos_agent.probes.registry import PROBES

_PLACE = re.compile("url|host|server")
OWN_SERVER = "https://forms.example.id/upload"


@pytest.mark.parametrize(
    "value",
    [
        "kpu.go.id",
        "KPU.GO.ID.",
        "sirekap-web.kpu.go.id",
        "https://kpu.go.id",
        "https://pemilu2024.kpu.go.id:8443/pilpres",
        "http://anyone@kpu.go.id/",
        "http://www.example.id\\@kpu.go.id/",
        "http://kpu。go。id/",
        "http://ｋｐｕ．ｇｏ．ｉｄ/",
    ],
)
def test_recognises_every_spelling_of_the_commission(value: str) -> None:
    """Case, port, user, trailing dot and full-width letters make no difference."""
    assert is_election_commission(value)


@pytest.mark.parametrize(
    "value",
    [
        OWN_SERVER,
        "kpu.go.id.example.org",
        "notkpu.go.id",
        "go.id",
        "@gateway",
        "::1",
        "10.0.0.1",
        "https://example.id/?from=kpu.go.id",
    ],
)
def test_accepts_other_servers(value: str) -> None:
    """Addresses and names that only resemble the commission's are accepted."""
    assert not is_election_commission(value)


@given(st.text())
def test_any_text_is_judged(value: str) -> None:
    """No text raises an exception."""
    assert is_election_commission(value) in (True, False)


def test_the_refusal_is_one_line_with_the_key(tmp_path: Path) -> None:
    """The error names the key, the value found and the problem."""
    file = tmp_path / "agent.toml"
    file.write_text('[[web.pages]]\nname = "a"\nurl = "https://www.kpu.go.id/"\n')
    with pytest.raises(InvalidConfigError) as raised:
        load(Sources(file, {}, None), PROBES)
    (fault,) = raised.value.faults
    assert fault.key == "web.pages.0.url"
    assert "kpu.go.id" in (fault.found or "")
    assert "must not be a server of the election commission" in fault.problem


def _addresses(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield every setting that contains an address; `[]` marks the entry of a list."""
    for name, field in model.model_fields.items():
        inner, many = _model_in(field.annotation)
        here = f"{path}{name}"
        if inner is not None:
            yield from _addresses(inner, f"{here}{'[]' if many else ''}.")
        elif _PLACE.search(name) and "str" in str(field.annotation):
            yield here


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    found = (_model_in(inner)[0] for inner in get_args(annotation))
    return next((model for model in found if model is not None), None), True


def _nested(path: str, value: str) -> Any:
    head, _, rest = path.partition(".")
    if not head:
        return value
    inner = _nested(rest, value) if rest else value
    return {head[:-2]: [inner]} if head.endswith("[]") else {head: inner}


@pytest.mark.parametrize("path", sorted(_addresses(Settings)))
def test_no_setting_accepts_the_commission(path: str) -> None:
    """Every url, host and server of the settings is checked, also future ones."""
    with pytest.raises(
        ValidationError, match="must not be a server of the election commission"
    ):
        Settings.model_validate(_nested(path, "https://www.kpu.go.id/"))


def test_the_list_of_addresses_is_not_empty() -> None:
    """The previous test finds the settings that it is for."""
    found = set(_addresses(Settings))
    assert {"targets[].host", "web.pages[].url", "form.url"} <= found
    assert {"throughput.server", "collector.url"} <= found
