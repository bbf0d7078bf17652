"""Checks of the plan: allowance, calendar and seals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.agent.doctor import plan
from qos_agent.agent.doctor.check import Health
from qos_agent.evidence import keys
from tests.agent.doctor.support import of

SERVER = {"server": "http://192.0.2.1", "download_limit": "8MB"}


@pytest.mark.parametrize(
    ("monthly", "health", "result"),
    [
        ("1MB", Health.WARN, "too small for the schedule: "),
        ("1000GB", Health.OK, "the schedule fits"),
        (None, Health.OK, "no limit"),
    ],
)
def test_an_allowance_that_cannot_fit_is_found_before_it_is_used(
    monthly: str | None, health: Health, result: str, tmp_path: Path
) -> None:
    """The line appears on the first day, not when the data is used up."""
    allowance = {} if monthly is None else {"monthly": monthly}
    examined = of(tmp_path, throughput=SERVER, allowance=allowance)
    (link,) = examined.settings.link_list()
    check = plan.allowance(link.name, examined)
    assert check.health is health, check
    assert check.result.startswith(result)
    assert (check.fix != "") is (health is Health.WARN)


@pytest.mark.parametrize(
    ("calendar", "health", "result"),
    [
        (None, Health.WARN, "none: the phase is always idle"),
        ("2024-02-14", Health.WARN, "2024-02-14: all its phases are over"),
    ],
)
def test_a_calendar_without_a_phase_to_come_is_named(
    calendar: str | None, health: Health, result: str, tmp_path: Path
) -> None:
    """Such a device would measure as if no vote were near."""
    station = {"id": "3171010001001", "province": "31"}
    examined = of(tmp_path, election={"calendar": calendar}, station=station)
    check = plan.calendar(examined)
    assert (check.health, check.result) == (health, result)
    assert check.fix == "sudo qos-agent setup --calendar NAME"


def test_a_missing_file_of_the_calendar_is_bad(tmp_path: Path) -> None:
    """It was there when the agent started."""
    settings = of(tmp_path).settings
    election = settings.election.model_copy(update={"calendar": "/nonesuch.toml"})
    gone = settings.model_copy(update={"election": election})
    check = plan.calendar(replace(of(tmp_path), settings=gone))
    assert check.health is Health.BAD
    assert "cannot be read" in check.result
    assert check.fix.startswith("check the path")


def test_the_key_signs_or_the_reason_is_named(tmp_path: Path) -> None:
    """Without a key the command makes one, and a damaged key is an error."""
    examined = of(tmp_path)
    check = plan.seal(examined)
    assert (check.health, check.fix) == (Health.WARN, "qos-agent enrol --self")
    path = keys.key_path(examined.folder, {})
    signer = keys.create_key(path)
    check = plan.seal(examined)
    assert check.health is Health.OK
    assert signer.public_key.fingerprint in check.result
    path.write_text("damaged")
    check = plan.seal(examined)
    assert check.health is Health.BAD
    assert check.result.startswith("not sealed: ")
