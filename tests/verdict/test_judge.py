"""The verdict is unknown with few samples, monotone in loss, and does not flap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config.settings import Settings
from qos_agent.config.thresholds import load
from qos_agent.model import Layer, Outcome, Phase, Reading, Record, Sample, Value
from qos_agent.model.line_protocol import encode, points
from qos_agent.model.schema import RTT_BOUNDS_MS
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.judge import Judge, Judgement, Rules, rules
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger
from tests.support.readings import IDENTITY

MINUTE_NS = 60 * 10**9
RULES = Rules(load(None))
ORDER = {"good": 0, "degraded": 1, "bad": 2}
LAYERS = (Layer.GATEWAY, Layer.RESOLVER, Layer.ANCHOR)


def train(
    at_ns: int, layer: Layer, received: int, rtt_ms: float = 20.0, target: str = ""
) -> Reading:
    """Return a train of 20 probes with `received` responses after `rtt_ms`."""
    tags = {
        "link": "main",
        "operator": "telkomsel",
        "layer": layer.value,
        "target": target or layer.value,
    }
    fields: dict[str, Value] = {"sent": 20, "received": received}
    for bound in RTT_BOUNDS_MS:
        fields[f"rtt_le_{bound}"] = received if rtt_ms <= bound else 0
    outcome = Outcome.OK if received else Outcome.FAILED
    cause = None if received else "timeout"
    return Reading("latency", outcome, at_ns, (Sample(tags, fields),), cause)


def judge(rules: Rules = RULES, baseline: BaselineStore | None = None) -> Judge:
    """Return a judge of the link `main`."""
    memory = MemoryLedger(FakeClock())
    return Judge(MAIN, rules, baseline or BaselineStore("main", memory))


def minutes(
    judged: Judge,
    rounds: list[dict[Layer, int]],
    first: int = 1,
    rtt_ms: float = 20.0,
    phase: Phase = Phase.VOTING,
) -> list[Judgement]:
    """Observe a round of trains and judge, each minute; return the judgements."""
    judgements = []
    for minute, received in enumerate(rounds, first):
        for layer, count in received.items():
            judged.observe(train(minute * MINUTE_NS - 10**9, layer, count, rtt_ms))
        judgements.append(judged.cycle(minute * MINUTE_NS, phase))
    return judgements


def _all(received: int) -> dict[Layer, int]:
    return dict.fromkeys(LAYERS, received)


losses = st.lists(
    st.fixed_dictionaries({layer: st.integers(0, 20) for layer in LAYERS}),
    min_size=1,
    max_size=40,
)


def test_a_link_without_loss_is_good() -> None:
    """With no loss and short delays it is good and available from the first cycle."""
    results = minutes(judge(), [_all(20)] * 3)
    assert [judgement.name for judgement in results] == ["good"] * 3
    assert results[-1].since_s == 120.0
    assert results[-1].available is True


@given(st.integers(0, 19), st.integers(0, 19))
def test_few_samples_are_unknown(sent: int, received: int) -> None:
    """With fewer than twenty probes the verdict is unknown, and never good."""
    judged = judge()
    fields: dict[str, Value] = {"sent": sent, "received": min(sent, received)}
    tags = {"link": "main", "layer": "anchor", "target": "a"}
    judged.observe(Reading("latency", Outcome.OK, 1, (Sample(tags, fields),)))
    assert judged.cycle(MINUTE_NS, Phase.PRE).name == "unknown"


def test_without_trains_the_verdict_becomes_unknown() -> None:
    """When the trains stop, the last verdict does not stay permanently."""
    results = minutes(judge(), [_all(20)] * 2 + [{}] * 15)
    assert results[-1].name == "unknown"
    assert results[-1].available is None


def _level(judgement: Judgement) -> int | None:
    return ORDER.get(judgement.name)


@given(losses, st.data())
def test_more_loss_is_never_judged_better(
    rounds: list[dict[Layer, int]], data: st.DataObject
) -> None:
    """A link that lost at least as much in every train is never judged better."""
    worse = [
        {layer: data.draw(st.integers(0, count)) for layer, count in trains.items()}
        for trains in rounds
    ]
    for better_judgement, worse_judgement in zip(
        minutes(judge(), rounds), minutes(judge(), worse), strict=True
    ):
        better_level, worse_level = _level(better_judgement), _level(worse_judgement)
        assert better_level is not None
        assert worse_level is not None
        assert worse_level >= better_level


@given(losses)
def test_a_change_of_direction_takes_the_minimum_time(
    rounds: list[dict[Layer, int]],
) -> None:
    """It is never better within recover_s of a worsening, or worse within worsen_s."""
    levels = [_level(result) or 0 for result in minutes(judge(), rounds)]
    changes = [
        (n, after - before)
        for n, (before, after) in enumerate(pairwise(levels), 1)
        if after != before
    ]
    for (first, change), (second, next_change) in pairwise(changes):
        if change > 0 > next_change:
            assert second - first >= 5
        if change < 0 < next_change:
            assert second - first >= 2


def test_an_outage_is_bad_and_recovers() -> None:
    """It is bad minutes after the loss, and good only after window and hold time."""
    rounds = [_all(20)] * 5 + [_all(0)] * 10 + [_all(20)] * 25
    names = [result.name for result in minutes(judge(), rounds)]
    assert names[4] == "good"
    assert names[9] == "bad"
    assert names[16] == "bad"
    assert names[-1] == "good"


@pytest.mark.parametrize(
    ("received", "layer", "side"),
    [
        ((0, 0, 0), "gateway", "access"),
        ((20, 0, 0), "resolver", "access"),
        ((20, 20, 0), "anchor", "destination"),
    ],
)
def test_the_verdict_names_the_nearest_bad_layer(
    received: tuple[int, ...], layer: str, side: str
) -> None:
    """The side is access if gateway or resolver fail, and destination otherwise."""
    rounds = [_all(20)] * 2 + [dict(zip(LAYERS, received, strict=True))] * 14
    last = minutes(judge(), rounds)[-1]
    assert (last.name, last.side) == ("bad", side)
    assert last.figure is not None
    assert (last.figure.kpi, last.figure.layer) == ("loss", layer)


def test_a_gateway_that_never_answers_is_not_an_outage() -> None:
    """Many gateways drop probes, but responses of farther layers have passed them."""
    rounds = [{Layer.GATEWAY: 0, Layer.ANCHOR: 20}] * 3
    rounds += [{Layer.GATEWAY: 0, Layer.ANCHOR: 0}] * 12
    results = minutes(judge(), rounds)
    assert results[2].name == "good"
    assert (results[-1].name, results[-1].side) == ("bad", "destination")


def test_one_failed_anchor_of_three_does_not_count() -> None:
    """The figure of a layer is that of its median target."""
    judged = judge()
    for minute in range(1, 6):
        for target, received in (("a", 20), ("b", 0), ("c", 20)):
            at_ns = minute * MINUTE_NS - 1
            judged.observe(train(at_ns, Layer.ANCHOR, received, target=target))
        assert judged.cycle(minute * MINUTE_NS, Phase.VOTING).name == "good"


def test_failures_of_the_instrument_do_not_count() -> None:
    """A train that this device could not send is no evidence about the link."""
    judged = judge()
    tags = {"link": "main", "layer": "anchor", "target": "a"}
    counts = {"sent": 20, "received": 0, "lost": 20, "unsent": 20}
    own = ("permission", "outside_resolver", "no_resolver", "bad_address")
    causes = [(cause, "unknown") for cause in own]
    for cause, name in (*causes, ("no_route", "bad")):
        sample = Sample(tags, counts if cause == "no_route" else {})
        reading = Reading("latency", Outcome.FAILED, 1, (sample,), cause)
        judged.observe(reading)
        assert judged.cycle(MINUTE_NS, Phase.VOTING).name == name


def test_worse_than_the_baseline_is_degraded() -> None:
    """170 ms are within the threshold, but not for a link that usually has 20."""
    baseline = BaselineStore("main", MemoryLedger(FakeClock()))
    judged = judge(baseline=baseline)
    minutes(judged, [_all(20)] * 220, phase=Phase.PRE)
    last = minutes(judged, [_all(20)] * 20, first=221, rtt_ms=170.0)[-1]
    assert last.name == "degraded"
    assert last.limit is not None
    assert last.limit.source == "baseline"
    assert minutes(judge(), [_all(20)] * 20, rtt_ms=170.0)[-1].name == "good"


def test_rates_and_forms_count_too() -> None:
    """Two slow downloads in six hours make a link with good trains bad."""
    judged = judge()
    for n in (1, 2):
        tags = {"link": "main", "direction": "down"}
        sample = Sample(tags, {"tests": 1, "rate_bps": 300_000.0})
        judged.observe(Reading("throughput", Outcome.OK, n, (sample,)))
    last = minutes(judged, [_all(20)] * 3)[-1]
    assert last.figure is not None
    assert (last.name, last.figure.kpi, last.side) == ("bad", "download", None)


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({}, "bad"),
        ({"cross_flagged": 0, "cpu_share": 0.5}, "bad"),
        ({"cross_flagged": 1}, "good"),
        ({"cpu_share": 0.97}, "good"),
    ],
    ids=["alone", "idle device", "other traffic", "busy device"],
)
def test_a_rate_limited_by_something_else_does_not_count(
    extra: dict[str, Value], name: str
) -> None:
    """Other traffic or a busy processor limited the rate, not the link."""
    judged = judge()
    for n in (1, 2):
        tags = {"link": "main", "direction": "down"}
        sample = Sample(tags, {"tests": 1, "rate_bps": 300_000.0, **extra})
        judged.observe(Reading("throughput", Outcome.OK, n, (sample,)))
    assert minutes(judged, [_all(20)] * 3)[-1].name == name


@pytest.mark.parametrize("cause", ["deadline", "stalled"])
def test_uploads_that_reach_their_deadline_count(cause: str) -> None:
    """The network caused a missed deadline, as it caused a stalled upload."""
    judged = judge()
    tags = {"link": "main", "target": RULES.form}
    for n in range(1, 11):
        sample = Sample(tags, {"data_bytes": 100_000})
        judged.observe(Reading("web", Outcome.FAILED, n, (sample,), cause))
    last = minutes(judged, [_all(20)] * 3)[-1]
    assert last.figure is not None
    assert (last.name, last.figure.kpi) == ("bad", "form_failures")


def test_availability_is_y1540s() -> None:
    """A link is unavailable from a loss of 0.20 in a minute, in any class."""
    results = minutes(judge(), [_all(17), _all(16), _all(20)])
    assert [judgement.available for judgement in results] == [True, False, True]
    fields = results[1].reading().samples[0].fields
    assert (fields["available"], fields["unavailable"]) == (0, 60)


def test_a_gateway_alone_is_not_service() -> None:
    """A link is unavailable if only its gateway responds."""
    rounds = [{Layer.GATEWAY: 20, Layer.ANCHOR: 0}] * 2
    assert [r.available for r in minutes(judge(), rounds)] == [False, False]


def test_rules_follow_the_settings() -> None:
    """The rules have the configured values."""
    settings = Settings.model_validate({"verdict": {"worsen_after": "3m"}})
    configured = rules(settings)
    assert (configured.worsen_s, configured.form) == (180.0, "forms")
    assert configured.thresholds == RULES.thresholds


def test_a_judgement_is_a_point_of_the_schema() -> None:
    """Every field of a judgement is in the schema, with its type."""
    rounds = [_all(20)] * 2 + [_all(0)] * 14
    for judgement in minutes(judge(), rounds):
        (point,) = points(judgement.reading(), IDENTITY)
        assert encode(Record(point.measurement, point.tags, point.fields, 1))
