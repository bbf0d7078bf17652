"""Hostile servers in place of what the probes measure: pages, uploads, throughput."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from qos_agent.model.schema.codes import CAUSES
from tests.hostile.child import TIMEOUT_S, Case
from tests.hostile.clients import check, running
from tests.servers.hostile import BEFORE_TLS, HTTP, hostile

pytestmark = pytest.mark.slow

# A moment of InfluxDB's headers means nothing to a probe.
FOR_PROBES = {k: v for k, v in HTTP.items() if not re.match(r"Date|Retry", k)}
# Each starts a process and reads for seconds.
FOR_SPEEDTEST = ("10 GB, accepted", "gzip bomb, accepted", "endless header", "silence")
# Each takes up to three seconds: connections that are opened again and again.
FOR_THROUGHPUT = (
    FOR_PROBES
    if os.environ.get("QOS_FAULTS") == "full"
    else ("10 GB", "endless header", "huge chunk", "short body", "NaN")
)
CHILD_MAX_BYTES = 300_000_000


def _is_named(message: str) -> bool:
    """Return True for a result, or for an error with a cause of the schema."""
    parts = message.split(" | ")
    return all(
        part == "ok" or part.endswith(" bps") or part.partition(":")[0] in CAUSES
        for part in parts
    )


@pytest.mark.parametrize("name", ["page", "form"])
def test_pages_and_uploads(name: str, tmp_path: Path) -> None:
    """Memory and time stay within bounds, and a cause is named."""
    wrong: dict[str, object] = {}
    with running(name, tmp_path) as client:
        for behaviour, talk in FOR_PROBES.items():
            with hostile(talk) as server:
                report = client.run(Case(behaviour, server.url()))
            if check(report) or not _is_named(report["message"]):
                wrong[behaviour] = report
        for behaviour, talk in BEFORE_TLS.items():
            with hostile(talk, reads=False) as server:
                report = client.run(Case(behaviour, server.url("https")))
            if check(report) or not _is_named(report["message"]):
                wrong[f"TLS: {behaviour}"] = report
        assert "Traceback" not in client.log()
    assert wrong == {}


@pytest.mark.slow
def test_throughput(tmp_path: Path) -> None:
    """A test of three seconds ends in time, whatever the server sends."""
    wrong: dict[str, object] = {}
    with running("throughput", tmp_path) as client:
        for behaviour in FOR_THROUGHPUT:
            with hostile(HTTP[behaviour]) as server:
                report = client.run(Case(behaviour, server.url()))
            if check(report, 3 * TIMEOUT_S) or not _is_named(report["message"]):
                wrong[behaviour] = report
    assert wrong == {}


@pytest.mark.slow
def test_speedtest(tmp_path: Path) -> None:
    """The child has a limit of memory, and ends in time."""
    wrong: dict[str, object] = {}
    with running("speedtest", tmp_path) as client:
        for behaviour in FOR_SPEEDTEST:
            with hostile(HTTP[behaviour]) as server:
                report = client.run(Case(behaviour, server.url()))
            faults = check(report, 3 * TIMEOUT_S)
            if report["child_bytes"] > CHILD_MAX_BYTES:
                faults.append("the child grew")
            if faults or not _is_named(report["message"]):
                wrong[behaviour] = report
    assert wrong == {}
