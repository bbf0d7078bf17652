"""The table `[remote]` in the configuration of a device."""

from __future__ import annotations

from qos_agent.config.remote.index import toml_text
from qos_agent.noc.remote.publishing import Publisher
from qos_agent.noc.settings import NocSettings


def table(settings: NocSettings) -> str:
    """Return the table; empty if no URL is configured. Raises OperatorError."""
    if settings.remote.url is None:
        return ""
    keys = Publisher(settings).keys()
    values = {
        "url": str(settings.remote.url),
        "key_set": keys.number,
        "keys": [key.text() for key in keys.configuration],
        "emergency_keys": [key.text() for key in keys.emergency],
    }
    return "\n[remote]\n" + toml_text(values)
