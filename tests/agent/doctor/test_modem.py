"""Checks of modem, SIM, registration and signal, with recordings of ModemManager."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.agent.doctor import modem
from qos_agent.agent.doctor.check import Check
from qos_agent.model import Link
from tests.agent.doctor.support import of
from tests.probes.signal.modems import FakeMmcli, capture

LINK = Link("main", "telkomsel", "wwan0", None)


def _checks(folder: Path) -> dict[str, Check]:
    examined = of(folder)
    return {row.name: row.run() for row in modem.rows(LINK, examined)}


def test_a_link_without_a_modem_has_no_such_checks(tmp_path: Path) -> None:
    """A cable has no SIM."""
    cable = Link("main", "unknown", "eth0", None)
    assert [*modem.rows(cable, of(tmp_path))] == []


@pytest.mark.parametrize(
    ("name", "bad", "text"),
    [
        ("lte.json", [], ""),
        ("openstick_sim_missing.json", ["SIM main"], "sim"),
        ("searching.json", ["registration main"], "not registered"),
        ("quectel_eg25_disabled.json", ["modem main"], "disabled"),
    ],
)
def test_the_first_bad_check_is_the_part_that_fails(
    name: str,
    bad: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A modem without a SIM is not a missing modem."""
    captured = capture(name)
    FakeMmcli(tmp_path, monkeypatch).answer(
        captured["modem"], signal=captured.get("signal")
    )
    found = _checks(tmp_path)
    failing = [c for c in found.values() if c.health == "bad"]
    assert [c.name for c in failing][:1] == bad
    assert all(check.fix for check in failing)
    assert text in (failing[0].result.lower() if failing else "")


def test_a_missing_modem_and_a_missing_program_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fix installs ModemManager, or tells to plug in the modem."""
    FakeMmcli(tmp_path, monkeypatch).answer()
    assert "plug in the modem" in _checks(tmp_path)["modem main"].fix
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    check = _checks(tmp_path)["modem main"]
    assert check.fix == "sudo apt-get install modemmanager"
    # Other programs can connect a modem too. A modem in the settings needs this one.
    assert check.health == "warn"
    modems = {"modems": [{"link": "main"}]}
    found = [row.run() for row in modem.rows(LINK, of(tmp_path, signal=modems))]
    assert found[0].health == "bad"
