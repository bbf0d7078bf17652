"""The published state: the index of each province, all under one version.

The state is written before the published files are. A command that was interrupted is
completed by the next one, which writes the same bytes: signatures of Ed25519 do not
change from one time to the next (RFC 8032).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from qos_agent.config.remote.index import Content, Index
from qos_agent.model import json_text
from qos_agent.model.errors import OperatorError
from qos_agent.noc.remote.source import Source, same_files
from qos_agent.system.files import read_bytes, replace_private, sync

FILE_NAME = "remote.json"
_MAX_BYTES = 64_000_000

State = Mapping[str, Index]


def read(folder: Path) -> State:
    """Return the state; empty before the first version. Raises OperatorError."""
    path = folder / FILE_NAME
    try:
        values = json_text.loads(read_bytes(path, _MAX_BYTES))
        return {
            code: Index.model_validate_json(json.dumps(index))
            for code, index in values.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        fix = "restore it from the backup"
        raise OperatorError(f"{path}: cannot be used: {error}. Fix: {fix}.") from error


def write(folder: Path, state: State) -> None:
    """Replace the state, on the disk when this returns. Raises OSError."""
    values = {
        code: json.loads(index.model_dump_json()) for code, index in state.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    replace_private(path, json.dumps(values).encode())
    sync(folder)


def version_of(state: State) -> int:
    """Return the published version; 0 before the first one."""
    return max((index.version for index in state.values()), default=0)


def any_index(state: State) -> Index:
    """Return an index, for what all of them have in common. Raises OperatorError."""
    for index in state.values():
        return index
    fix = "qos-agent noc config publish"
    raise OperatorError(f"remote: nothing is published yet. Fix: {fix}.")


def is_same(state: State, source: Source) -> bool:
    """Return True if the source folder has the content that is published."""
    return state.keys() == source.contents.keys() and all(
        same_files(index.content, source.contents[code])
        for code, index in state.items()
    )


def in_full_force(index: Index) -> Content | None:
    """Return the content that devices outside of a roll-out have, or None."""
    return index.content if index.percent == 100 else index.before
