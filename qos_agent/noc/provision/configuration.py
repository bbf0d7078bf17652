"""The configuration that a station's device receives, made from the register.

The device completes the lines that begin with `#device`: only it knows its interfaces
and the places of its files.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from qos_agent.config import calendar_file, text_file, toml_file
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.model.errors import ConfigError, InvalidConfigError
from qos_agent.noc.register.store import Entry
from qos_agent.noc.settings import NocSettings, ShardSection
from qos_agent.probes.registry import PROBES

# Tables that differ from station to station, or that the centre decides.
_RESERVED = ("station", "links", "collector", "election", "remote")
_HEAD = """\
# Written by the operations centre for station {code}. To change a setting, ask the
# centre: enrolling again replaces this file.
[station]
id = {id}
province = {province}
regency = {regency}
time_zone = {time_zone}
#device name
"""
_LINK = """
[[links]]
name = {name}
operator = {operator}
#device interface {name}
"""
_COLLECTOR = """
[collector]
url = {url}
org = {org}
bucket = {bucket}
#device token_file
#device ca_file
#device client_certificate
"""


def common_settings(path: Path | None) -> str:
    """Return the text of the file with common settings. Raises InvalidConfigError."""
    if path is None:
        return ""
    content = toml_file.read_bytes(path, "correct provision.common in noc.toml")
    table = toml_file.parse(path, content)
    faults = tuple(
        ConfigError(name, None, "is made for each station", f"remove it from {path}")
        for name in _RESERVED
        if name in table
    )
    if faults:
        raise InvalidConfigError(faults)
    return "\n" + text_file.decoded(content).strip() + "\n"


def device_config(entry: Entry, shard: ShardSection, common: str) -> str:
    """Return the configuration of a station's device."""
    head = _HEAD.format(
        code=entry.code,
        id=_toml(entry.code),
        province=_toml(entry.province),
        regency=_toml(entry.regency),
        time_zone=_toml(entry.time_zone),
    )
    links = "".join(
        _LINK.format(name=_toml(name), operator=_toml(operator))
        for name, operator, _ in entry.links
    )
    collector = _COLLECTOR.format(
        url=_toml(str(shard.devices_url or shard.url)),
        org=_toml(shard.org),
        bucket=_toml(shard.bucket),
    )
    return head + links + collector + common


def files_for_devices(settings: NocSettings) -> tuple[str | None, str | None]:
    """Return the calendar and the authority of the collectors that devices receive.

    Raises OperatorError or InvalidConfigError for a file that cannot be used.
    """
    calendar = authority = None
    if settings.election.calendar is not None:
        path = calendar_file.find(settings.election.calendar)
        calendar_file.load(path)
        calendar = text_file.decoded(toml_file.read_bytes(path, "check its path"))
    if settings.enrolment.ca_file is not None:
        fix = "correct enrolment.ca_file"
        content = toml_file.read_bytes(settings.enrolment.ca_file, fix)
        authority = text_file.decoded(content)
    return calendar, authority


def check_config(text: str, settings: NocSettings) -> None:
    """Raise InvalidConfigError if a device could not use a configuration."""
    with tempfile.TemporaryDirectory(prefix="qos-provision-") as folder:
        place = settings.provision.common or Path(folder)
        path = Path(folder) / place.name
        path.write_text(text, encoding="utf-8")
        load(Sources(path, {}, None), PROBES)


def _toml(value: str) -> str:
    # A basic string of TOML has the escapes of JSON, and must escape DEL too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
