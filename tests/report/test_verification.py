"""Results of `qos-agent verify --json` in a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qos_agent.model.errors import ConfigError
from qos_agent.report.content.annex import evidence
from qos_agent.report.content.common import evidence_state
from qos_agent.report.facts import gather
from qos_agent.report.language import words
from qos_agent.report.selection import Selection
from qos_agent.report.template import Template
from qos_agent.report.verification import read_verification
from tests.report.support import archive_of, train

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


def test_readings_outside_of_the_bundle_are_not_called_proven(tmp_path: Path) -> None:
    """A valid bundle of 7 readings proves at most 7 of the 9 in the archive."""
    path = tmp_path / "result.json"
    path.write_text(json.dumps(_VALID))
    archive = archive_of(tmp_path, [train(n, [10] * 20) for n in range(9)])
    found = read_verification(path)
    facts = gather(archive, Selection(), Template(), verification=found)
    expected = (
        "The verification proves 7 readings. The archive has 9, so at least 2 are not"
        " proven."
    )
    assert evidence_state(facts, words("en")) == expected
    assert expected in str(evidence(facts, words("en")).blocks)
    assert "sedikitnya 2 belum terbukti" in evidence_state(facts, words("id"))
    assert (found.unproven(7), found.unproven(5)) == (0, 0)
