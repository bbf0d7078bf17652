"""A thresholds file states its sources, or is refused with a line for each error."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.thresholds import KPIS, load
from qos_agent.model.errors import InvalidConfigError

_LOSS = {
    "unit": '"ratio"',
    "degraded": "0.02",
    "bad": "0.1",
    "window": '"10m"',
    "min_samples": "20",
    "source": '"a contract"',
    "legal_status": '"contract"',
}


def _file(folder: Path, **changed: str | None) -> Path:
    path = folder / "thresholds.toml"
    rows = {**_LOSS, **changed}
    text = "\n".join(f"{k} = {v}" for k, v in rows.items() if v is not None)
    path.write_text(f"[loss]\n{text}\n")
    return path


def test_none_ships_as_statutory() -> None:
    """Every KPI has a threshold with a source, as engineering practice."""
    shipped = load(None)
    assert list(shipped) == list(KPIS)
    assert {t.legal_status for t in shipped.values()} == {"engineering practice"}
    assert all(t.source for t in shipped.values())


def test_a_custom_file_is_read(tmp_path: Path) -> None:
    """A KPI that the file does not contain is not judged."""
    (loss,) = load(_file(tmp_path)).values()
    assert (loss.bad, loss.window_s, loss.unit) == (0.1, 600.0, "ratio")
    assert (loss.source, loss.legal_status) == ("a contract", "contract")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"unit": '"percent"'}, "loss.unit: must be ratio (found: 'percent')."),
        ({"source": None}, "loss.source: is missing. Fix: add loss.source to "),
        (
            {"legal_status": '"law"'},
            "loss.legal_status: must be 'engineering practice', 'standard', ",
        ),
        (
            {"bad": "0.01"},
            "loss.bad: must be greater than degraded, which is 0.02 (found: 0.01).",
        ),
        ({"degraded": '"2 %"'}, "loss.degraded: must be a number (found: '2 %')."),
        ({"window": "600"}, "loss.window: must be a duration such as 500ms, 90s"),
        (
            {"baseline_bad": "3.0"},
            "needs baseline_degraded, baseline_bad, baseline_floor together.",
        ),
        ({"limit": "3.0"}, "loss.limit: unknown key. Fix: remove it in "),
    ],
)
def test_each_error_is_one_line(
    tmp_path: Path, changed: dict[str, str | None], line: str
) -> None:
    """Each error names the key, the problem and the value found."""
    with pytest.raises(InvalidConfigError) as caught:
        load(_file(tmp_path, **changed))
    assert line in str(caught.value).splitlines()[0]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """The shipped set never replaces a file that was named."""
    with pytest.raises(InvalidConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_a_rate_is_worse_when_less(tmp_path: Path) -> None:
    """For rates, bad is less than degraded. The table of loss is required."""
    path = tmp_path / "t.toml"
    path.write_text(
        '[download]\nunit = "bit/s"\ndegraded = 1.0\nbad = 2.0\nwindow = "1h"\n'
        'min_samples = 1\nsource = "x"\nlegal_status = "contract"\n'
    )
    with pytest.raises(InvalidConfigError) as caught:
        load(path)
    first, second = str(caught.value).splitlines()
    assert first.startswith("loss: is missing. Fix: add loss to ")
    assert "must be less than degraded, which is 1.0 (found: 2.0)" in second
