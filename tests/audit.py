"""Looks for known vulnerabilities of the locked libraries.

`python -m tests.audit FILE...` sends the names and versions in lock files to the
vulnerability database OSV, in one request. Without a connection it prints AUDIT SKIPPED
and the exit status is 0, or 1 if QOS_REQUIRE_AUDIT is set, as for a release.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

OSV = "https://api.osv.dev/v1/querybatch"
_TIMEOUT_S = 15.0
_MAX_BYTES = 5_000_000
_LOCKED = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==([^ ;\\]+)", re.ASCII)
# Comments and hashes are indented, or begin with one of these.
_REQUIREMENT = re.compile(r"[^\s#-]")

Library = tuple[str, str]


def locked(text: str) -> Iterator[Library]:
    """Yield name and version of each library of a lock file.

    Raises ValueError for a requirement without a version, which no one could look up.
    """
    for line in text.splitlines():
        if found := _LOCKED.match(line):
            yield found[1], found[2]
        elif _REQUIREMENT.match(line):
            raise ValueError(f"not a locked library: {line}")


def advisories(libraries: Sequence[Library], url: str = OSV) -> Iterator[str]:
    """Yield a line for each library with a known vulnerability.

    Raises OSError or ValueError if the database gives no complete result.
    """
    queries = [
        {"package": {"ecosystem": "PyPI", "name": name}, "version": version}
        for name, version in libraries
    ]
    body = json.dumps({"queries": queries}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        results = _results(response.read(_MAX_BYTES), len(queries))
    for (name, version), result in zip(libraries, results, strict=True):
        if found := [entry["id"] for entry in result.get("vulns", ())]:
            yield f"{name} {version}: {', '.join(found)}"


def _results(body: bytes, count: int) -> list[dict[str, Any]]:
    answer = json.loads(body)
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != count:
        raise ValueError("the answer is not that of OSV")
    return results


def main(paths: Iterable[str], url: str = OSV) -> int:
    """Print the vulnerable libraries, or why none were looked up."""
    libraries = sorted({each for p in paths for each in locked(Path(p).read_text())})
    if not libraries:
        print("AUDIT FAILED: the lock files name no library")
        return 1
    try:
        found = list(advisories(libraries, url))
    except (OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # It holds the connection.
        print(f"AUDIT SKIPPED: no vulnerability database: {error}")
        return 1 if os.environ.get("QOS_REQUIRE_AUDIT") else 0
    print("\n".join(found) or f"audit: {len(libraries)} libraries, nothing known")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
