"""The changes of the published state; each returns the state of the next version. Pure.

A new content may go to a share of the stations first. A pause, its end and a withdrawal
change no content on a device but the present or the previous one, so devices accept
them in voting and counting too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from qos_agent.config.remote.index import FORMAT, Index, Pause
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc.remote.source import Source
from qos_agent.noc.remote.state import State, any_index, in_full_force, version_of

_Change = Callable[[Index], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Terms:
    """The moment of a publication, how long it is valid, and the key set it needs."""

    now_s: int
    valid_s: float
    key_set: int


def content(state: State, source: Source, percent: float, terms: Terms) -> State:
    """Publish the source folder, to all stations or to a share of them."""
    if percent < 100 and not state:
        problem = "must be 100 for the first version, because there is none before it"
        raise ConfigError("--percent", str(percent), problem, "leave it out")
    common = _common(state, terms)
    old = any_index(state) if state else None
    return {
        code: Index(
            format=FORMAT,
            scope=code,
            content=found,
            before=in_full_force(state[code]) if code in state else None,
            percent=percent,
            staged=common["issued"],
            withdrawn=old.withdrawn if old else (),
            pause=old.pause if old else (),
            **common,
        )
        for code, found in source.contents.items()
    }


def vouched(state: State) -> State:
    """Return the state for two emergency keys to sign.

    Later versions name this one, so that their normal key brings the same content.
    """
    return {
        code: index.model_copy(update={"vouched": index.version})
        for code, index in state.items()
    }


def share(state: State, percent: float, terms: Terms) -> State:
    """Change the share of a roll-out."""
    index = any_index(state)
    if index.before is None:
        problem = "there is no version before this one"
        raise ConfigError("--percent", str(percent), problem, "publish a change first")
    staged = datetime.fromtimestamp(terms.now_s, UTC)
    return _changed(state, terms, lambda _: {"percent": percent, "staged": staged})


def withdrawal(state: State, terms: Terms) -> State:
    """Withdraw the present content: every device returns to the one before.

    Raises OperatorError if there is none.
    """
    index = any_index(state)
    if index.before is None:
        fix = "correct the source folder, then publish it"
        raise OperatorError(f"withdraw: no version is before this one. Fix: {fix}.")
    bad = index.content.version
    return _changed(
        state,
        terms,
        lambda i: {
            "content": i.before,
            "before": None,
            "percent": 100.0,
            "vouched": None,
            "withdrawn": (*i.withdrawn, bad)[-20:],
        },
    )


def pause(state: State, new: Pause, terms: Terms) -> State:
    """Begin a pause, or replace the one of the same name."""
    return _changed(state, terms, lambda i: {"pause": (*_others(i, new.name), new)})


def resume(state: State, name: str, terms: Terms) -> State:
    """End a pause. Raises ConfigError if there is none of that name."""
    names = [found.name for found in any_index(state).pause]
    if name not in names:
        problem = "is not the name of a pause"
        fix = f"use one of {', '.join(names)}" if names else "nothing is paused"
        raise ConfigError("NAME", repr(name), problem, fix)
    return _changed(state, terms, lambda i: {"pause": _others(i, name)})


def renewal(state: State, terms: Terms) -> State:
    """Publish the same content again, valid for longer or with another key set."""
    any_index(state)
    return _changed(state, terms, lambda _: {})


def _changed(state: State, terms: Terms, change: _Change) -> State:
    """Return the state with a change of each index, and without pauses that ended."""
    common = _common(state, terms)
    now = datetime.fromtimestamp(terms.now_s, UTC)
    changed = {}
    for code, index in state.items():
        update = {"pause": index.pause, **change(index), **common}
        update["pause"] = tuple(found for found in update["pause"] if found.end > now)
        # Validation runs again, because model_copy() does not do it.
        values = index.model_copy(update=update).model_dump()
        changed[code] = Index.model_validate(values)
    return changed


def _others(index: Index, name: str) -> tuple[Pause, ...]:
    return tuple(found for found in index.pause if found.name != name)


def _common(state: State, terms: Terms) -> dict[str, Any]:
    issued = datetime.fromtimestamp(terms.now_s, UTC)
    return {
        "key_set": terms.key_set,
        "version": version_of(state) + 1,
        "issued": issued,
        "valid_until": issued + timedelta(seconds=int(terms.valid_s)),
    }
