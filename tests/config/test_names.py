"""Paths, names and texts that the system cannot use are refused, whatever the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from qos_agent.config import calendar_file, thresholds
from qos_agent.config.links import LinkSection
from qos_agent.config.loading import load
from qos_agent.config.settings import Settings
from qos_agent.config.sources import Sources
from qos_agent.config.station import StationSection
from qos_agent.model.errors import ConfigError, InvalidConfigError
from qos_agent.model.text import control_character, one_line
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.probes.registry import PROBES

MODELS = (Settings, NocSettings, Scenario, calendar_file._File, thresholds._Table)
# A URL, an address with a zone and a plain name, each with a forbidden character.
FORBIDDEN = [
    text.replace("*", character)
    for text in ("*", "a*b", "https://x.id/*", "https://x.id/a?b=*", "fe80::1%*")
    for character in ("\0", "\x1b", "\x7f", "\x85", "\u2028", "\ud800", "\udcff")
]


def fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key below a model that is not a table."""
    for name, field in model.model_fields.items():
        inner = model_of(field.annotation)
        if inner is None:
            yield f"{above}{name}", field
        else:
            yield from fields(inner, f"{above}{name}.")


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a table or of the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_of, get_args(annotation))), None)


def types_in(annotation: Any) -> set[Any]:
    """Return the types of an annotation and of its alternatives."""
    return {annotation}.union(*map(types_in, get_args(annotation)))


@cache
def keys_of(kind: type) -> dict[str, TypeAdapter[Any]]:
    """Return the checks of each key whose value is a text or a path."""
    return {
        f"{model.__name__}.{key}": TypeAdapter(field.rebuild_annotation())
        for model in MODELS
        for key, field in fields(model)
        if kind in types_in(field.annotation)
    }


def accepted(kind: type, values: Sequence[str]) -> list[tuple[str, str]]:
    """Return the keys and values that pass the checks, alone or in a list."""
    return [
        (key, value[:40])
        for key, adapter in keys_of(kind).items()
        for value in values
        if accepts(adapter, value) or accepts(adapter, (value,))
    ]


def accepts(adapter: TypeAdapter[Any], value: object) -> bool:
    """Return True if a value passes the checks of a key."""
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", [str, Path])
def test_no_text_has_a_control_character(kind: type) -> None:
    """A later use would be a traceback, or a terminal that obeys the text."""
    assert len(keys_of(kind)) > 10
    assert accepted(kind, FORBIDDEN) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [str, Path])
def test_no_text_is_endless(kind: type) -> None:
    """A text of a hundred thousand characters is a mistake in every key."""
    starts = ("", "https://x.id/", "fe80::1%", "/")
    assert accepted(kind, [start + "a" * 100_000 for start in starts]) == []


def test_every_path_is_one_that_the_system_can_open() -> None:
    """A name has at most 255 bytes and a path 4095; neither is empty."""
    paths = ["", "a" * 256, "é" * 128, "/x/" + "a" * 256 + "/y", "a/" * 2048]
    assert accepted(Path, paths) == []


@pytest.mark.parametrize(
    "name",
    [
        "[ab]*",
        "wwan?",
        "wwan0 ",
        "a b",
        "a/b",
        "eth0:1",
        "veth@if2",
        "",
        "x" * 16,
        "é" * 8,
        "%d",
        "'eth0'",
        "\\x",
    ],
)
def test_an_interface_has_one_name(name: str) -> None:
    """Nothing expands a pattern, and the kernel knows no longer name."""
    with pytest.raises(ValidationError, match="name of a network interface"):
        LinkSection(name="main", interface=name)


@pytest.mark.parametrize("name", ["wwan0", "eth0.100", "br-12ab_c", "wg+x", "x" * 15])
def test_usual_interfaces_are_accepted(name: str) -> None:
    """Bridges, VLANs and tunnels have such names."""
    assert LinkSection(name="main", interface=name).interface == name


@pytest.mark.parametrize("zone", ["*", "[ab]", "a'b", "é", "x" * 16, "a b", ".."])
def test_the_zone_of_an_address_has_the_same_form(zone: str) -> None:
    """The zone of a link-local address is an interface too."""
    keys = (
        "links.source_address",
        "targets.host",
        "throughput.server",
        "collector.url",
    )
    for key in keys:
        adapter = keys_of(str)[f"Settings.{key}"]
        forms = ("fe80::1%{}", "http://[fe80::1%25{}]/", "http://[fe80::1%{}]/")
        assert any(accepts(adapter, form.format("wwan0")) for form in forms), key
        assert not any(accepts(adapter, form.format(zone)) for form in forms), key


_LINES = {
    '[journal]\nfolder = "a\\u0000b"': (
        "journal.folder: contains U+0000 at character 2 "
        r"(found: 'a\x00b'). Fix: edit journal.folder in FILE."
    ),
    '[web]\nca_file = "\\u001b[31m"': (
        "web.ca_file: contains U+001B at character 1 "
        r"(found: '\x1b[31m'). Fix: edit web.ca_file in FILE."
    ),
    '[runtime]\nfolder = ""': (
        "runtime.folder: must not be empty (found: ''). Fix: edit runtime.folder in "
        "FILE."
    ),
    '[collector]\nbucket = "a\\nb"': (
        "collector.bucket: contains U+000A at character 2 "
        r"(found: 'a\nb'). Fix: edit collector.bucket in FILE."
    ),
    '[journal]\n"fol\\u001bder\\n" = 1': (
        r"journal.fol\x1bder\n: unknown key. Fix: rename it to folder in FILE, or "
        "remove it."
    ),
}


@pytest.mark.parametrize(("text", "line"), _LINES.items(), ids=range(len(_LINES)))
def test_the_line_shows_what_cannot_be_printed(
    tmp_path: Path, text: str, line: str
) -> None:
    """The terminal gets printable characters only, in one line."""
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfigError) as raised:
        load(Sources(path, {}, None), PROBES)
    assert str(raised.value).replace(str(path), "FILE") == line


def test_json_in_a_variable_is_checked_too() -> None:
    """JSON can contain NUL, which a variable itself cannot."""
    links = json.dumps([{"name": "main", "interface": "a\0"}])
    for name, text, key in (
        ("QOS_AGENT_LINKS", links, "links.0.interface"),
        ("QOS_AGENT_JOURNAL", '{"folder": "a\\u0000"}', "journal.folder"),
        ("QOS_AGENT_JOURNAL__FOLDER", "a\udcff", "journal.folder"),
    ):
        with pytest.raises(InvalidConfigError) as raised:
            load(Sources(None, {name: text}, None), PROBES)
        assert str(raised.value).startswith(f"{key}: ")
        assert str(raised.value).isprintable()


def test_a_folder_has_a_path_that_sqlite_opens() -> None:
    """SQLite refuses paths of more than 512 bytes; no reading would be stored."""
    for length, is_accepted in ((400, True), (401, False)):
        name = "/" + "/".join(["a" * 99] * 3 + ["a" * (length - 301)])
        assert len(name) == length
        for key in ("Settings.journal.folder", "NocSettings.folder"):
            assert accepts(keys_of(Path)[key], name) is is_accepted


def test_the_expected_text_of_a_page_may_have_lines() -> None:
    """A page is a document, so its text may contain line ends and tabs."""
    assert accepts(
        keys_of(str)["Settings.web.pages.text"], "<title>\n\tTPS</title>\r\n"
    )


def test_the_name_of_the_device_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name may contain letters that a tag must not."""
    for host, name in (
        ("kantor-é.local", "kantor-local"),
        ("", "device"),
        ("…", "device"),
    ):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        assert StationSection(time_zone="Asia/Jakarta").device == name


def test_an_error_is_one_printable_line_of_bounded_length() -> None:
    """Every part of it may come from outside."""
    long = "\n\x1b" + "x" * 200_000
    line = str(ConfigError(long, long, long, long))
    assert line.isprintable()
    assert len(line) < 5000


@given(st.text())
def test_shown_text_is_printable(text: str) -> None:
    """A text without control characters is shown as it is."""
    assert one_line(text).isprintable()
    if text.isprintable() and len(text) < 1000:
        assert one_line(text) == text


@given(st.binary())
def test_bytes_that_are_not_utf_8_are_named(data: bytes) -> None:
    """A path from an argument or a variable has them as lone surrogates."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        data.decode()
    except UnicodeDecodeError:
        assert control_character(text) is not None
