"""The summary that `qos-agent run` prints at its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from qos_agent.cli import run_agent
from qos_agent.system.language import Language, Translator


@pytest.mark.parametrize(
    ("language", "advice"),
    [
        ("en", "Most measurements failed. To find the reason: qos-agent doctor"),
        (
            "id",
            (
                "Sebagian besar pengukuran gagal. Untuk mencari penyebabnya: "
                "qos-agent doctor"
            ),
        ),
    ],
)
@pytest.mark.parametrize(("failed", "expected"), [(20, 1), (16, 0), (0, 0)])
def test_the_summary_advises_if_most_measurements_failed(
    capsys: pytest.CaptureFixture[str],
    language: Language,
    advice: str,
    failed: int,
    expected: int,
) -> None:
    """A first run without a network ends with the command that finds the reason."""
    status: Any = SimpleNamespace(
        outcomes={"ok": 32 - failed, "failed": failed},
        causes={"refused": failed},
        reasons={},
        stored_points=34,
        sent_points=0,
        figures=SimpleNamespace(in_memory=False),
    )
    run_agent._summarise(status, 60.0, Translator(language))
    output = capsys.readouterr().out
    assert output.count(advice) == expected
    stored = {"en": "34 points (readings and", "id": "34 titik data (hasil ukur dan"}
    assert stored[language] in output
