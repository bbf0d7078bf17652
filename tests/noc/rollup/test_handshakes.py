"""TCP handshakes and ICMP echoes of one target, kept apart in every sum."""

from __future__ import annotations

import re

from grafana.alerts.files import ALERTS
from grafana.queries import DELAY, LOSS, select
from qos_agent.config.settings import CollectorSection
from qos_agent.config.thresholds import load
from qos_agent.influx.query import Server
from qos_agent.model import Phase, Reading, Record, Sample, Value
from qos_agent.model.line_protocol import decode, encode
from qos_agent.model.types import Outcome
from qos_agent.noc.rollup.baseline import baseline_lines
from qos_agent.noc.rollup.sums import ROLLUPS, read_lines
from qos_agent.probes.latency.tcp_handshake import tcp_fields
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.judge import Judge, Rules
from tests.grafana.panel_queries import PANELS
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger

TAGS = {
    "station": "3171010001001",
    "province": "31",
    "regency": "3171",
    "link": "main",
    "operator": "telkomsel",
    "target": "anchor-1",
    "layer": "anchor",
}
TRAIN: dict[str, Value] = {
    "sent": 20,
    "received": 19,
    "lost": 1,
    "rtt_sum_us": 19 * 20_000,
    "rtt_p50_ms": 20.0,
}
# Slower and with more loss, so that any mixture shows.
HANDSHAKES = tcp_fields(
    {
        "sent": 10,
        "received": 2,
        "lost": 8,
        "rtt_sum_us": 2 * 900_000,
        "rtt_p50_ms": 900.0,
        "loss_low": 0.5,
    }
)
LATENCY = next(rollup for rollup in ROLLUPS if rollup.measurement == "latency")


def line(number: int, method: str, fields: dict[str, Value], phase: str) -> bytes:
    """Return a latency point with the fields that every reading has."""
    all_fields = {**fields, "method": method, "seq": number, "slots": 1, "ok": 1}
    tags = {**TAGS, "phase": phase}
    return encode(Record("latency", tags, all_fields, START_NS + number * 10**9))


def test_figures_of_boards_and_sums_are_those_of_echoes(influxdb: Database) -> None:
    """Loss and delay are 1 of 20 and 20 ms, whatever the handshakes of the minute."""
    kinds = [("icmp", TRAIN), ("tcp", HANDSHAKES), ("tcp", HANDSHAKES)]
    lines = [line(n, *kind, "pre") for n, kind in enumerate(kinds)]
    nation.deliver(influxdb, lines)
    for ratio, value in ((LOSS, 5.0), (DELAY, 20.0)):
        query = select(str(ratio), "latency").replace("$timeFilter", "time > 0")
        (row,) = influxdb.query(query)
        assert row["value"] == value
    server = Server(CollectorSection.model_validate(influxdb.section))
    span = (START_NS, START_NS + MINUTE_NS)
    (total,) = map(decode, read_lines(server, LATENCY, "31", *span))
    sums = {name: total.fields[name] for name in ("sent", "lost", "received")}
    assert sums == {"sent": 20, "lost": 1, "received": 19}
    assert (total.fields["tcp_sent"], total.fields["tcp_lost"]) == (20, 16)
    (base,) = map(decode, baseline_lines(server, "31", span[1], 3600.0))
    assert base.fields["sent"] == 20
    assert base.fields["rtt_sum_us"] == TRAIN["rtt_sum_us"]
    server.close()


def test_no_board_and_no_alert_reads_handshakes() -> None:
    """They never stand next to echoes under one name."""
    assert all(name.startswith("tcp_") for name in HANDSHAKES)
    queries = [
        target["query"] for panel in PANELS.values() for target in panel["targets"]
    ]
    assert len(queries) > 50
    assert [query for query in queries if re.search(r'"tcp_\w+"', query)] == []
    assert "tcp_" not in str(ALERTS)


def test_a_judge_learns_and_judges_from_echoes_only() -> None:
    """With handshakes alone the verdict is unknown, and the baseline stays empty."""
    memory = MemoryLedger(FakeClock())
    baseline = BaselineStore("main", memory)
    judge = Judge(MAIN, Rules(load(None)), baseline)
    for minute in range(1, 30):
        now_ns = minute * MINUTE_NS
        sample = Sample(TAGS, {**HANDSHAKES, "method": "tcp"})
        outcome = Outcome.OK if minute % 2 else Outcome.FAILED
        cause = None if minute % 2 else "refused"
        judge.observe(Reading("latency", outcome, now_ns - 1, (sample,), cause))
        judgement = judge.cycle(now_ns, Phase.PRE)
        assert (judgement.name, judgement.available) == ("unknown", None)
    assert baseline.figures == {}
