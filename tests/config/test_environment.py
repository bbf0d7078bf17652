"""Variables with the prefix of settings that are not settings, or not one of them."""

from __future__ import annotations

import logging

import pytest

from qos_agent.config import variable_names
from qos_agent.config.loading import load
from qos_agent.config.settings import Settings
from qos_agent.config.sources import Sources
from qos_agent.model.errors import InvalidConfigError
from qos_agent.probes.registry import PROBES

# A service `qos-agent` or `qos-agent-collector` of Kubernetes, and a link of Docker.
SERVICES = {
    "QOS_AGENT_SERVICE_HOST": "10.0.0.1",
    "QOS_AGENT_SERVICE_PORT": "80",
    "QOS_AGENT_SERVICE_PORT_HTTPS": "443",
    "QOS_AGENT_PORT": "tcp://10.0.0.1:80",
    "QOS_AGENT_PORT_80_TCP": "tcp://10.0.0.1:80",
    "QOS_AGENT_PORT_80_TCP_PROTO": "tcp",
    "QOS_AGENT_PORT_53_UDP_ADDR": "10.0.0.1",
    "QOS_AGENT_COLLECTOR_SERVICE_HOST": "10.0.0.2",
    "QOS_AGENT_COLLECTOR_PORT_8086_TCP_PORT": "8086",
    "QOS_AGENT_WEB_PORT": "tcp://10.0.0.3:80",
    "QOS_AGENT_MY_WEB_SERVICE_PORT_HTTP": "80",
}
ORDINARY = (
    "QOS_AGENT_",
    "QOS_AGENT_VERSION",
    "QOS_AGENT_HOME",
    "QOS_AGENT_NAME",
    "QOS_AGENT_FORMAT",
    "qos_agent_image",
    "QOS_AGENT__X",
    "QOS_AGENT_\udcff",
    "QOS_AGENT_X\x1b[31m",
)


def _settings(**variables: str) -> Settings:
    return load(Sources(None, variables, None), PROBES).settings


def test_variables_of_services_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """A service in the same namespace must not stop the agent, nor fill its log."""
    assert _settings(**SERVICES) == _settings()
    assert caplog.records == []


def test_other_ordinary_names_are_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An image may set them. The line is printable and has no value."""
    variable_names._warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert _settings(**dict.fromkeys(ORDINARY, "hunter2")) == _settings()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.isprintable()
    assert "QOS_AGENT_VERSION" in line
    assert "hunter2" not in line


_LINES = {
    "QOS_AGENT_COLLECTOR_URL": (
        "QOS_AGENT_COLLECTOR_URL: is not a setting. Fix: rename it to "
        "QOS_AGENT_COLLECTOR__URL, or remove it."
    ),
    "QOS_AGENT_COLLECTOR_TOKEN_FILE": (
        "QOS_AGENT_COLLECTOR_TOKEN_FILE: is not a setting. Fix: rename it to "
        "QOS_AGENT_COLLECTOR__TOKEN_FILE, or remove it."
    ),
    "QOS_AGENT_STATION_": (
        "QOS_AGENT_STATION_: is not a setting. Fix: rename it to QOS_AGENT_STATION, or "
        "remove it."
    ),
    "QOS_AGENT_LINK": (
        "QOS_AGENT_LINK: is not a setting. Fix: rename it to QOS_AGENT_LINKS, or "
        "remove it."
    ),
    "QOS_AGENT_COLLECTOR__": "QOS_AGENT_COLLECTOR__: is not a setting. Fix: remove it.",
    "QOS_AGENT___URL": "QOS_AGENT___URL: is not a setting. Fix: remove it.",
    "QOS_AGENT_COLLECTOR____URL": (
        "QOS_AGENT_COLLECTOR____URL: is not a setting. Fix: remove it."
    ),
    "QOS_AGENT_COLLECTOR__URL\udcff": (
        r"QOS_AGENT_COLLECTOR__URL\udcff: is not a setting. Fix: remove it."
    ),
}


@pytest.mark.parametrize("name", _LINES)
def test_a_mistyped_name_is_an_error(name: str) -> None:
    """A setting that is silently not in force is worse than no start."""
    with pytest.raises(InvalidConfigError) as raised:
        _settings(**{name: "hunter2"})
    assert str(raised.value) == _LINES[name]


def test_a_setting_has_one_variable() -> None:
    """Case does not count, so nobody could know which of the two is in force."""
    with pytest.raises(InvalidConfigError) as raised:
        _settings(QOS_AGENT_STATION__ID="1", QOS_AGENT_station__id="2")
    assert str(raised.value) == (
        "QOS_AGENT_station__id: is the same setting as QOS_AGENT_STATION__ID. "
        "Fix: remove one of the two."
    )
