"""A running agent among hostile servers: its stop, and what it leaves on disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_output import environment, records
from tests.servers.hostile import HTTP, Talk, fixed, hostile, silent
from tests.servers.raw import response
from tests.support.waiting import eventually

SECRET = "PLANTED-secret-0123456789"
STOP_S = 5.0


def _start(folder: Path, collector: str, page: str) -> subprocess.Popen[bytes]:
    """Start an agent that delivers to a server and loads a page of another."""
    token = folder / "token"
    token.write_text(f"agent:{SECRET}\n")
    web = {"pages": [{"name": "a", "url": page}], "time_limit": "30s"}
    settings = environment(
        folder,
        QOS_AGENT_COLLECTOR__URL=collector,
        QOS_AGENT_COLLECTOR__TOKEN_FILE=str(token),
        QOS_AGENT_COLLECTOR__TIMEOUT="30s",
        QOS_AGENT_WEB=json.dumps(web),
        QOS_AGENT_SCHEDULE__IDLE__WEB="1s",
    )
    without = ("latency", "throughput", "form", "signal")
    options = [part for name in without for part in ("--without", name)]
    return subprocess.Popen(
        [sys.executable, "-m", "qos_agent", "run", *options],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


ECHO = fixed(
    response(
        "400 Bad Request",
        b'{"error":"field type conflict: agent:%s is wrong"}' % SECRET.encode(),
        b"Content-Type: application/json",
    )
)


# A stop has five seconds, which two busy cores would exceed.
@pytest.mark.serial
@pytest.mark.parametrize(
    "talk",
    [silent, HTTP["slow head"], HTTP["slow body"], ECHO],
    ids=["silent", "head", "body", "echo"],
)
def test_sigterm_ends_an_agent_that_waits_for_servers(
    tmp_path: Path, talk: Talk
) -> None:
    """Its readings are on disk within five seconds, and nothing contains the token."""
    with hostile(talk) as collector, hostile(talk) as page:
        agent = _start(tmp_path, collector.url(), page.url())
        eventually(lambda: collector.requests and page.requests, 30)
        agent.send_signal(signal.SIGTERM)
        stopped_s = time.monotonic()
        output, _ = agent.communicate(timeout=30)
        took_s = time.monotonic() - stopped_s
    assert agent.returncode == 0
    assert took_s < STOP_S
    stored = records(tmp_path)
    assert any(record.tags.get("kind") == "stop" for record in stored)
    assert any(record.measurement == "host" for record in stored)
    (tmp_path / "token").unlink()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*"))
    assert SECRET.encode() not in output + files
    assert b"Traceback" not in output
