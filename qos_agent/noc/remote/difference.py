"""The differences between the source folder and what is published, as lines. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qos_agent.config import toml_file
from qos_agent.config.loading import leaves
from qos_agent.config.remote.index import Content, Files
from qos_agent.noc.remote.source import KINDS, Source
from qos_agent.noc.remote.state import State

# Returns the bytes of a published file.
Published = Callable[[str], bytes]


def lines(state: State, source: Source, published: Published) -> Iterator[str]:
    """Yield a line for each key or file that differs."""
    nations: set[tuple[Files, Files]] = set()
    for code, content in source.contents.items():
        before = state[code].content if code in state else Content(version=1)
        pair = (before.nation, content.nation)
        if pair not in nations:
            nations.add(pair)
            yield from _layer("nation", *pair, source.files, published)
        yield from _layer(
            f"province {code}",
            before.province,
            content.province,
            source.files,
            published,
        )
    yield from _stations(state, source, published)


def _layer(
    name: str,
    before: Files,
    after: Files,
    files: Mapping[str, bytes],
    published: Published,
) -> Iterator[str]:
    for kind in KINDS:
        old, new = getattr(before, kind), getattr(after, kind)
        if old == new:
            continue
        if kind != "settings":
            yield f"{name}: {kind} {_short(old)} -> {_short(new)}"
            continue
        one = _table(published(old)) if old else {}
        other = _table(files[new]) if new else {}
        yield from _keys(name, one, other)


def _stations(state: State, source: Source, published: Published) -> Iterator[str]:
    """Yield a line for each station whose layer differs."""
    present: dict[str, Any] = {}
    for index in state.values():
        for digest in index.content.stations.values():
            present |= _table(published(digest))
    for station in sorted(present.keys() | source.own.keys()):
        one, other = present.get(station, {}), source.own.get(station, {})
        yield from _keys(f"station {station}", one, other)


def _keys(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[str]:
    one, other = dict(leaves(before)), dict(leaves(after))
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            was, now = (_shown(values, key) for values in (one, other))
            yield f"{name}: {key} {was} -> {now}"


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "unset"


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"


def _table(content: bytes) -> dict[str, Any]:
    return toml_file.parse(Path("a published file"), content)
