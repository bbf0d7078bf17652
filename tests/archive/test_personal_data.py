"""Readings, and with them archives and exports, have no personal data."""

from __future__ import annotations

import pytest

from qos_agent.archive.columns import READINGS, NotAReadingError, Parser

# Every field with free text, and what it has. A new one needs a decision: it must not
# identify a person.
TEXT_FIELDS = {
    "address": "address of a measured server",
    "after": "state after an event",
    "band": "radio band",
    "before": "state before an event",
    "calendar_hash": "hash",
    "cause": "closed list",
    "cell": "cell of the network",
    "class": "closed list",
    "config_hash": "hash",
    "congestion_control": "algorithm of TCP",
    "detail": "message of a system or server",
    "device": "name of the device",
    "handover": "reason of a new journal",
    "incident": "name of an incident",
    "journal": "random name",
    "key": "fingerprint of a key",
    "kpi": "closed list",
    "layer": "closed list",
    "method": "closed list",
    "note": "signed note",
    "origin": "device and journal",
    "plmn": "code of the network",
    "proof": "hashes",
    "rate_layer": "closed list",
    "reader": "closed list",
    "reason": "closed list",
    "registration": "closed list",
    "remote_hash": "hash",
    "root": "hash",
    "server": "configured name of a server",
    "side": "closed list",
    "sign_1": "sign of an outage",
    "sign_2": "sign of an outage",
    "signature": "signature",
    "stamps": "closed list",
    "stop": "closed list",
    "threshold_source": "name of a document",
    "tracking_area": "area of the network",
    "version": "version of the agent",
}


def test_every_text_of_a_reading_is_listed() -> None:
    """A new field with text cannot come into archives unnoticed."""
    found = {f.name for m in READINGS.values() for f in m.fields if f.type == "str"}
    assert found == set(TEXT_FIELDS)


def test_contacts_of_stations_are_never_archived() -> None:
    """Only the centre's own measurement has them, and it is not a reading."""
    line = b'station,station=s1 contact="A person",journal="a",seq=1i 1'
    with pytest.raises(ValueError, match="journal"):
        Parser().row(line)
    with pytest.raises(NotAReadingError, match="has no readings"):
        Parser().row(b'station,station=s1 contact="A person" 1')
