"""The check of the program's version."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.agent.doctor import Health, software
from tests.agent.doctor.support import of


@pytest.mark.parametrize(
    ("installed", "fleet", "health"),
    [
        ("0.3.0", "0.3.0", Health.OK),
        ("0.3.0", None, Health.OK),
        ("0.3.0.dev14+gded37c1", "0.3.0~dev14+gded37c1", Health.OK),
        ("0.2.0", "0.3.0", Health.WARN),
        ("0.3.0", "0.2.0", Health.WARN),
    ],
)
def test_the_version_is_compared_with_the_fleet(
    installed: str,
    fleet: str | None,
    health: Health,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A device that missed an upgrade or its withdrawal is reported."""
    monkeypatch.setattr(software, "__version__", installed)
    check = software.version(of(tmp_path, fleet={"version": fleet}))
    assert check.health is health
    if health is Health.WARN:
        expected = f"{installed} is installed, but the fleet has {fleet}"
        assert check.result == expected
        assert "install.sh" in check.fix
