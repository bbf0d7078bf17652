"""The running agent: a new configuration, a pause, and no lost reading."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from qos_agent.model import Record
from tests.agent.remote.agents import AgentProcess, config, pause_all, running
from tests.noc.remote.centre import STATION, Centre, make_centre
from tests.servers.static import static_server
from tests.support.waiting import eventually

IS_FULL = os.environ.get("QOS_FAULTS") == "full"
AGENTS = 50 if IS_FULL else 1


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    """Return a centre that has published version 1 now."""
    made = make_centre(tmp_path / "noc")
    made.write("nation/settings.toml", "[latency]\ncount = 7\n")
    made.publish(now_s=int(time.time()))
    return made


def _reasons(agent: AgentProcess) -> Counter[str]:
    return Counter(str(r.fields.get("reason")) for r in agent.records())


def _events(records: list[Record]) -> list[str]:
    return [
        f"{r.tags['kind']}: {r.fields.get('detail', '')}"
        for r in records
        if r.measurement == "event"
    ]


@pytest.mark.slow
def test_an_agent_loads_a_new_configuration_without_a_lost_reading(
    centre: Centre, tmp_path: Path
) -> None:
    """Every slot has a reading, and the heartbeat has the version in force."""
    with static_server(centre.published) as server:
        path = config(centre, tmp_path / "pi", server.url, STATION)
        with running(path) as agent:
            eventually(lambda: len(_loads(agent)) == 1)
            centre.write("nation/settings.toml", '[upgrade]\nversion = "1.4.0"\n')
            centre.publish(now_s=int(time.time()))
            eventually(lambda: len(_loads(agent)) == 2)
            # Later checks have nothing new.
            eventually(lambda: ("/31.note", 304) in server.requests)
            assert agent.stop() == 0
            records = agent.records()
    events = _events(records)
    assert "remote_accepted: version 1, normal key" in events
    assert "remote_accepted: version 2, normal key" in events
    seqs = sorted(int(r.fields["seq"]) for r in records)
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    _have_all_slots(records)


def _loads(agent: AgentProcess) -> list[Record]:
    """Return the events about a configuration that took effect."""
    return [
        r
        for r in agent.records()
        if r.tags.get("kind") == "configuration" and "after" in r.fields
    ]


def _have_all_slots(records: list[Record]) -> None:
    """Check that a probe has a slot in each of its intervals, measured or skipped."""
    host = [r for r in records if r.measurement == "host"]
    slots = sum(int(r.fields["slots"]) for r in host)
    span_s = (max(r.time_ns for r in host) - min(r.time_ns for r in host)) / 1e9
    assert slots >= span_s - 4


@pytest.mark.slow
def test_a_pause_reaches_real_agents_within_a_cycle_and_ends_by_itself(
    centre: Centre, tmp_path: Path
) -> None:
    """The slots in between are skipped with the reason of the centre.

    The long form has 50 agents with the cycle of voting and counting, a minute.
    """
    cycle_s, every = (60.0, "10s") if IS_FULL else (2.0, "1s")
    with static_server(centre.published) as server, ExitStack() as stack:
        agents = []
        for number in range(AGENTS):
            folder, station = tmp_path / f"pi-{number}", f"31710100{number:05d}"
            path = config(centre, folder, server.url, station, cycle_s, every)
            agents.append(stack.enter_context(running(path)))
        for agent in agents:
            eventually(partial(_loads, agent), 600)
        began_s = time.time()
        pause = pause_all(centre, 2 * cycle_s + 4, operators=("telkomsel",))
        ends = "resume", "centre: national"
        for agent in agents:
            eventually(partial(_at, agent, *ends), 600)
            assert agent.stop() == 0
        delays_s = [_at(a, "pause", "centre: national")[0] - began_s for a in agents]
        for agent in agents:
            assert _reasons(agent)["paused_by_centre"] > 0
            _paused_only_before_its_end(agent.records(), pause.end.timestamp())
    print(f"{AGENTS} agents, slowest {max(delays_s):.1f} s")
    # The main loop records the pause at its next tick, up to a second later.
    assert max(delays_s) < cycle_s + 2


def _at(agent: AgentProcess, kind: str, detail: str) -> list[float]:
    """Return the times of the events of a kind that begin with a text."""
    return [
        record.time_ns / 1e9
        for record in agent.records()
        if record.tags.get("kind") == kind
        and str(record.fields.get("detail")).startswith(detail)
    ]


def _paused_only_before_its_end(records: list[Record], end_s: float) -> None:
    for record in records:
        if record.fields.get("reason") == "paused_by_centre":
            assert record.time_ns / 1e9 <= end_s + 1


@pytest.mark.slow
def test_a_pause_survives_a_restart_without_a_server(
    centre: Centre, tmp_path: Path
) -> None:
    """A killed agent that starts without a network skips until the end of the pause."""
    with static_server(centre.published) as server:
        path = config(centre, tmp_path / "pi", server.url, STATION)
        pause = pause_all(centre, 600)
        with running(path) as agent:
            eventually(lambda: _reasons(agent)["paused_by_centre"])
    with running(path) as agent:
        before = _reasons(agent)["paused_by_centre"]
        eventually(lambda: _reasons(agent)["paused_by_centre"] > before)
        assert agent.stop() == 0
    assert pause.length_s == 600
