"""Results of `qos-agent verify --json` in a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qos_agent.model.errors import ConfigError
from qos_agent.report.verification import read_verification

_TOTALS = {"proven": 7, "seals": 2, "journals": 1, "cosigned": 0}
_VALID = {"is_valid": True, "totals": _TOTALS, "faults": {"root": 0}, "witness": None}


def test_a_result_is_read_with_its_counts(tmp_path: Path) -> None:
    """Kinds of faults without a case are left out."""
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**_VALID, "faults": {"a": 0, "b": 3}}))
    found = read_verification(path)
    assert (found.is_valid, found.points, found.witness) == (True, 7, "")
    assert found.faults == (("b", 3),)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({**_VALID, "is_valid": "yes"}),
        json.dumps({**_VALID, "totals": {}}),
        json.dumps({**_VALID, "faults": []}),
        "[" * 100_000,
    ],
)
def test_other_content_is_no_result(tmp_path: Path, content: str) -> None:
    """A report never states that evidence is valid because of another file."""
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="is not the result of a verification"):
        read_verification(path)
