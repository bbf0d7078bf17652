"""Differences between InfluxDB 1.8, 2.x and 3.x in the content of responses. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

VERSION_HEADER = "X-Influxdb-Version"


def version(headers: Mapping[str, str]) -> str:
    """Return the version in the headers, such as 1.8.10, or nothing if not reported."""
    return headers.get(VERSION_HEADER, "").removeprefix("v")


def overwrites_points(server_version: str) -> bool:
    """Return True if a point replaces an earlier one with the same series and time.

    1.8 and 2.x keep the later point. InfluxDB 3 may keep either of the two ("Duplicate
    points" in the line protocol reference). Without a version the answer is True.
    """
    return not server_version.startswith("3.")


def error_message(body: Mapping[str, object]) -> str:
    """Return the message of an error: `message` in 2.x and 3.x, `error` in 1.x and 3.x.

    3.x lists the rejected lines in `data`; the message of the first one is appended.
    """
    message = str(body.get("message") or body.get("error") or "")
    rejected = body.get("data")
    first = rejected[0] if isinstance(rejected, list) and rejected else None
    if isinstance(first, dict) and "error_message" in first:
        message += f" {first['error_message']}"
    return message


def policy_retention_s(policies: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the retention from the rows of SHOW RETENTION POLICIES, None if unknown.

    Infinity means that points are kept permanently. 2.x reports that for every bucket;
    there the bucket's own rule counts.
    """
    default = next((row for row in policies if row.get("default", True)), None)
    return None if default is None else go_duration_s(str(default.get("duration", "")))


def go_duration_s(text: str) -> float | None:
    """Read a duration of Go such as 720h0m0s; 0 is infinity, other text is None."""
    parts = re.findall(r"(\d{1,9})([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    unit_s = {"h": 3600, "m": 60, "s": 1}
    return float(sum(int(number) * unit_s[unit] for number, unit in parts)) or math.inf
