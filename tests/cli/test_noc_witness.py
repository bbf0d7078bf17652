"""`qos-agent noc witness resume`, as an operator runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qos_agent.cli import main
from qos_agent.evidence import keys
from qos_agent.noc.service.witness import DATABASE, KEY_NAME
from qos_agent.noc.witness.records import RESUMED
from qos_agent.noc.witness.store import WitnessStore
from tests.noc.witness.support import STATION, Bench, SealedDevice


def test_it_shows_the_gap_and_resumes_only_with_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 if nothing waits; without --apply nothing changes."""
    device = SealedDevice()
    bench = Bench(tmp_path, [device])
    bench.check(device.arrived(device.grow(10).seal()))
    device.grow(10).seal()
    for _ in range(2):
        bench.check(device.arrived(device.grow(10).seal()))
    bench.close()
    keys.create_key(tmp_path / KEY_NAME)
    (tmp_path / "noc.toml").write_text(f'folder = "{tmp_path}"\n')

    def run(*arguments: str) -> tuple[int, str]:
        argv = ["qos-agent", "noc", "witness", "resume", *arguments]
        monkeypatch.setattr(sys, "argv", [*argv, "-c", str(tmp_path / "noc.toml")])
        return main.run(), capfd.readouterr().out

    status, output = run(STATION)
    assert (status, "Nothing was cosigned yet." in output) == (0, True)
    assert "cosigned up to the seal of 10 points, and the next one of 30" in output
    status, output = run(STATION, "--apply")
    assert (status, output.splitlines()[-1]) == (0, "2 seals cosigned")
    store = WitnessStore(tmp_path / DATABASE)
    assert len(store.statements(device.origin, RESUMED)) == 1
    store.close()
    assert run(STATION, "--apply") == (
        1,
        f"{STATION}: no seal waits for another one.\n",
    )
