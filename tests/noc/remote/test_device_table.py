"""The table `[remote]` that devices receive when they are provisioned."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.model.errors import InvalidConfigError, OperatorError
from qos_agent.noc.remote import device_table
from qos_agent.noc.settings import NocSettings
from qos_agent.probes.registry import PROBES
from tests.noc.remote.centre import make_centre

pytestmark = pytest.mark.unit
_STATION = '[station]\nid = "3171010001001"\nprovince = "31"\nregency = "3171"\n'


def test_a_provisioned_device_trusts_the_newest_key_set(tmp_path: Path) -> None:
    """The loader of the device reads the table and has the keys of set 2."""
    centre = make_centre(tmp_path / "noc")
    centre.add_set(2, ("config-2", "config-1"))
    path = tmp_path / "agent.toml"
    path.write_text(_STATION + device_table.table(centre.settings))
    remote = load(Sources(path, {}, None), PROBES).settings.remote
    assert remote.initial_keys() == centre.publisher.keys()
    assert remote.initial_keys().number == 2


def test_without_a_url_devices_have_no_table(tmp_path: Path) -> None:
    """With a URL and no key set, provisioning stops."""
    settings = NocSettings(folder=tmp_path)
    assert device_table.table(settings) == ""
    remote = {"url": "https://collector.example.id/config"}
    with pytest.raises(
        OperatorError, match=r"there is no key set\. Fix: .* remove remote\.url"
    ):
        device_table.table(
            NocSettings.model_validate({"folder": tmp_path, "remote": remote})
        )


def test_a_device_refuses_a_url_without_tls(tmp_path: Path) -> None:
    """Only an address of the device itself may be http."""
    path = tmp_path / "agent.toml"
    path.write_text(_STATION + '[remote]\nurl = "http://collector.example.id/config"\n')
    with pytest.raises(InvalidConfigError, match="must be an https URL"):
        load(Sources(path, {}, None), PROBES)
