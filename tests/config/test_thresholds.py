"""Thresholds say where they come from, or are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.thresholds import KPIS, load
from qos_agent.model.errors import InvalidConfigError

_LOSS = {
    "unit": '"ratio"', "degraded": "0.02", "bad": "0.1", "window": '"10m"',
    "min_samples": "20", "source": '"a contract"', "legal_status": '"contract"',
}  # fmt: skip


def _file(folder: Path, **changed: str | None) -> Path:
    path = folder / "thresholds.toml"
    rows = {**_LOSS, **changed}
    text = "\n".join(f"{k} = {v}" for k, v in rows.items() if v is not None)
    path.write_text(f"[loss]\n{text}\n")
    return path


def test_none_ships_as_statutory() -> None:
    """Every figure has a threshold, with its source, as engineering practice."""
    shipped = load(None)
    assert list(shipped) == list(KPIS)
    assert {t.legal_status for t in shipped.values()} == {"engineering practice"}
    assert all(t.source for t in shipped.values())


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    """What it leaves out is not judged."""
    (loss,) = load(_file(tmp_path)).values()
    assert (loss.bad, loss.window_s, loss.unit) == (0.1, 600.0, "ratio")
    assert (loss.source, loss.legal_status) == ("a contract", "contract")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unit": '"percent"'}, "loss.unit: found 'percent'; allowed: ratio"),
        (
            {"source": None},
            "loss.source: found nothing; allowed: where the values come",
        ),
        (
            {"legal_status": '"law"'},
            "loss.legal_status: found 'law'; allowed: engineer",
        ),
        ({"bad": "0.01"}, "loss.bad: found 0.01; allowed: more than degraded, 0.02"),
        (
            {"degraded": '"2 %"'},
            "loss.degraded: found '2 %'; allowed: a number above 0",
        ),
        ({"window": "600"}, "loss.window: found 600; allowed: a duration such as"),
        (
            {"baseline_bad": "3.0"},
            "loss.baseline_degraded: found nothing; allowed: a num",
        ),
        ({"limit": "3.0"}, "loss.limit: found 3.0; allowed: unit, source"),
    ],
)
def test_a_bad_file_is_said_in_a_line(
    tmp_path: Path, changed: dict[str, str | None], said: str
) -> None:
    """Each fault names the key, what was found, and what is allowed."""
    with pytest.raises(InvalidConfigError) as caught:
        load(_file(tmp_path, **changed))
    assert said in str(caught.value).splitlines()[0]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A named file is never silently the shipped set."""
    with pytest.raises(InvalidConfigError, match="a readable file"):
        load(tmp_path / "none.toml")


def test_a_rate_is_worse_when_less(tmp_path: Path) -> None:
    """For rates, bad is below degraded; loss itself may not be left out."""
    path = tmp_path / "t.toml"
    path.write_text(
        '[download]\nunit = "bit/s"\ndegraded = 1.0\nbad = 2.0\nwindow = "1h"\n'
        'min_samples = 1\nsource = "x"\nlegal_status = "contract"\n'
    )
    with pytest.raises(InvalidConfigError) as caught:
        load(path)
    first, second = str(caught.value).splitlines()
    assert first.startswith("loss: found nothing; allowed: a table [loss]")
    assert "allowed: less than degraded, 1.0" in second
