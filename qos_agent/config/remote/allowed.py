"""The settings that the centre may change on a device: an explicit list.

Everything else stays with the device: who it is, its links, where its readings go, the
credentials, the keys that it trusts, and the places of its files. A key that a later
version adds is not allowed until someone adds it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qos_agent.config.faults import unknown_key
from qos_agent.model.errors import ConfigError, InvalidConfigError

# None allows every key of a table.
ALLOWED: Mapping[str, frozenset[str] | None] = {
    "schedule": None,
    "targets": None,
    "latency": frozenset({"count", "spacing"}),
    "throughput": frozenset(
        {
            "backends",
            "server",
            "iperf3_server",
            "speedtest_server",
            "download_path",
            "upload_path",
            "download_limit",
            "upload_limit",
            "time_limit",
            "tolerance",
            "connections",
            "cross_limit",
        }
    ),
    "web": frozenset({"pages", "body_limit", "time_limit"}),
    "form": frozenset({"name", "url", "method", "size", "time_limit"}),
    "signal": frozenset({"time_limit"}),
    "allowance": None,
    "verdict": frozenset(
        {
            "worsen_after",
            "recover_after",
            "unavailable_loss",
            "outage_after",
            "baseline_samples",
        }
    ),
    "uplink": frozenset({"batch", "pause", "backoff", "fallback_after", "data_limit"}),
    "journal": frozenset({"commit_every"}),
    "upgrade": frozenset({"version"}),
}
# The program qos-agent-upgrade reads it, and `doctor` reports another version.
_WANTED = ("fleet", "version")


def checked(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the settings of a layer as the loader merges them.

    Raises InvalidConfigError with a line for each key that is not allowed.
    """
    if faults := tuple(_faults(table, place)):
        raise InvalidConfigError(faults)
    values = {name: value for name, value in table.items() if name != "upgrade"}
    if (version := _wanted_version(table)) is not None:
        section, key = _WANTED
        values[section] = {key: version}
    return values


def _wanted_version(table: Mapping[str, Any]) -> str | None:
    """Return the version of the software that the centre wants, or None."""
    version = table.get("upgrade", {}).get("version")
    return version if isinstance(version, str) else None


def _faults(table: Mapping[str, Any], place: str) -> Iterator[ConfigError]:
    for section, values in table.items():
        if section not in ALLOWED:
            yield _refusal(section, ALLOWED, place)
        elif (keys := ALLOWED[section]) is not None:
            if not isinstance(values, dict):
                problem = "must be a table"
                yield ConfigError(section, None, problem, f"edit {section} in {place}")
                continue
            for key in values.keys() - keys:
                yield _refusal(f"{section}.{key}", keys, place)


def _refusal(
    key: str, known: Mapping[str, object] | frozenset[str], place: str
) -> ConfigError:
    fix = unknown_key(key, list(known), place).fix
    return ConfigError(key, None, "cannot be set by the centre", fix)


def file_place(kind: str, name: str) -> Path:
    """Return the name by which errors call a file of a layer."""
    return Path(f"{name} {kind}")
