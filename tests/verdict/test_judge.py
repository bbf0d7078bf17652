"""The verdict: not good on few samples, not better for more loss, not flapping."""

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
    """A train of 20 probes, with `received` answers after `rtt_ms`."""
    tags = {"link": "main", "operator": "telkomsel", "layer": layer.value,
            "target": target or layer.value}  # fmt: skip
    fields: dict[str, Value] = {"sent": 20, "received": received}
    for bound in RTT_BOUNDS_MS:
        fields[f"rtt_le_{bound}"] = received if rtt_ms <= bound else 0
    outcome = Outcome.OK if received else Outcome.FAILED
    cause = None if received else "timeout"
    return Reading("latency", outcome, at_ns, (Sample(tags, fields),), cause)


def judge(rules: Rules = RULES, baseline: BaselineStore | None = None) -> Judge:
    """A judge of the link `main`."""
    memory = MemoryLedger(FakeClock())
    return Judge(MAIN, rules, baseline or BaselineStore("main", memory))


def minutes(
    judged: Judge,
    rounds: list[dict[Layer, int]],
    first: int = 1,
    rtt_ms: float = 20.0,
    phase: Phase = Phase.VOTING,
) -> list[Judgement]:
    """A round of trains and a cycle each minute."""
    found = []
    for minute, received in enumerate(rounds, first):
        for layer, count in received.items():
            judged.observe(train(minute * MINUTE_NS - 10**9, layer, count, rtt_ms))
        found.append(judged.cycle(minute * MINUTE_NS, phase))
    return found


def _all(received: int) -> dict[Layer, int]:
    return dict.fromkeys(LAYERS, received)


losses = st.lists(
    st.fixed_dictionaries({layer: st.integers(0, 20) for layer in LAYERS}),
    min_size=1,
    max_size=40,
)


def test_a_well_link_is_good() -> None:
    """No loss, short delays: good from the first cycle, and available."""
    got = minutes(judge(), [_all(20)] * 3)
    assert [each.name for each in got] == ["good"] * 3
    assert got[-1].since_s == 120.0
    assert got[-1].available is True


@given(st.integers(0, 19), st.integers(0, 19))
def test_few_samples_are_unknown(sent: int, received: int) -> None:
    """Below twenty probes there is no verdict, above all not a good one."""
    judged = judge()
    fields: dict[str, Value] = {"sent": sent, "received": min(sent, received)}
    tags = {"link": "main", "layer": "anchor", "target": "a"}
    judged.observe(Reading("latency", Outcome.OK, 1, (Sample(tags, fields),)))
    assert judged.cycle(MINUTE_NS, Phase.PRE).name == "unknown"


def test_silence_becomes_unknown() -> None:
    """When the trains stop, the last verdict does not stay for ever."""
    got = minutes(judge(), [_all(20)] * 2 + [{}] * 15)
    assert got[-1].name == "unknown"
    assert got[-1].available is None


def _level(judgement: Judgement) -> int | None:
    return ORDER.get(judgement.name)


@given(losses, st.data())
def test_more_loss_is_never_judged_better(
    rounds: list[dict[Layer, int]], data: st.DataObject
) -> None:
    """A link that lost at least as much in every train is at least as bad, always."""
    worse = [
        {layer: data.draw(st.integers(0, count)) for layer, count in each.items()}
        for each in rounds
    ]
    for better_one, worse_one in zip(
        minutes(judge(), rounds), minutes(judge(), worse), strict=True
    ):
        better_level, worse_level = _level(better_one), _level(worse_one)
        assert better_level is not None
        assert worse_level is not None
        assert worse_level >= better_level


@given(losses)
def test_a_change_of_direction_takes_its_time(rounds: list[dict[Layer, int]]) -> None:
    """Never better within recover_s of getting worse, nor worse within worsen_s."""
    levels = [_level(each) or 0 for each in minutes(judge(), rounds)]
    changes = [
        (n, after - before)
        for n, (before, after) in enumerate(pairwise(levels), 1)
        if after != before
    ]
    for (first, one), (second, two) in pairwise(changes):
        if one > 0 > two:
            assert second - first >= 5
        if one < 0 < two:
            assert second - first >= 2


def test_an_outage_is_bad_and_recovers() -> None:
    """Bad minutes after the loss; good again only after the window and the hold."""
    rounds = [_all(20)] * 5 + [_all(0)] * 10 + [_all(20)] * 25
    names = [each.name for each in minutes(judge(), rounds)]
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
def test_the_nearest_bad_layer_is_to_blame(
    received: tuple[int, ...], layer: str, side: str
) -> None:
    """The access network where gateway or resolver fail, else what lies beyond."""
    rounds = [_all(20)] * 2 + [dict(zip(LAYERS, received, strict=True))] * 14
    last = minutes(judge(), rounds)[-1]
    assert (last.name, last.side) == ("bad", side)
    assert last.figure is not None
    assert (last.figure.kpi, last.figure.layer) == ("loss", layer)


def test_a_gateway_that_never_answers_is_not_an_outage() -> None:
    """Many gateways drop probes; what comes back from beyond has passed them."""
    rounds = [{Layer.GATEWAY: 0, Layer.ANCHOR: 20}] * 3
    rounds += [{Layer.GATEWAY: 0, Layer.ANCHOR: 0}] * 12
    got = minutes(judge(), rounds)
    assert got[2].name == "good"
    assert (got[-1].name, got[-1].side) == ("bad", "destination")


def test_one_dead_anchor_of_three_is_its_own_trouble() -> None:
    """The layer is its median target."""
    judged = judge()
    for minute in range(1, 6):
        for target, received in (("a", 20), ("b", 0), ("c", 20)):
            at_ns = minute * MINUTE_NS - 1
            judged.observe(train(at_ns, Layer.ANCHOR, received, target=target))
        assert judged.cycle(minute * MINUTE_NS, Phase.VOTING).name == "good"


def test_faults_of_the_instrument_are_not_the_links() -> None:
    """A train that could not be sent for want of permission says nothing."""
    judged = judge()
    tags = {"link": "main", "layer": "anchor", "target": "a"}
    counts = {"sent": 20, "received": 0, "lost": 20, "unsent": 20}
    for cause, name in (("permission", "unknown"), ("no_route", "bad")):
        sample = Sample(tags, counts if cause == "no_route" else {})
        reading = Reading("latency", Outcome.FAILED, 1, (sample,), cause)
        judged.observe(reading)
        assert judged.cycle(MINUTE_NS, Phase.VOTING).name == name


def test_worse_than_itself_is_seen() -> None:
    """170 ms are within the threshold, but not for a link that always had 20."""
    baseline = BaselineStore("main", MemoryLedger(FakeClock()))
    judged = judge(baseline=baseline)
    minutes(judged, [_all(20)] * 220, phase=Phase.PRE)
    last = minutes(judged, [_all(20)] * 20, first=221, rtt_ms=170.0)[-1]
    assert last.name == "degraded"
    assert last.limit is not None
    assert last.limit.source == "baseline"
    assert minutes(judge(), [_all(20)] * 20, rtt_ms=170.0)[-1].name == "good"


def test_rates_and_forms_count_too() -> None:
    """Two slow downloads in six hours make a well-connected link bad."""
    judged = judge()
    for n in (1, 2):
        tags = {"link": "main", "direction": "down"}
        sample = Sample(tags, {"tests": 1, "rate_bps": 300_000.0})
        judged.observe(Reading("throughput", Outcome.OK, n, (sample,)))
    last = minutes(judged, [_all(20)] * 3)[-1]
    assert last.figure is not None
    assert (last.name, last.figure.kpi, last.side) == ("bad", "download", None)


@pytest.mark.parametrize(
    ("beside", "name"),
    [
        ({}, "bad"),
        ({"cross_flagged": 0, "cpu_share": 0.5}, "bad"),
        ({"cross_flagged": 1}, "good"),
        ({"cpu_share": 0.97}, "good"),
    ],
    ids=["alone", "unhurried", "other traffic", "slow instrument"],
)
def test_a_rate_that_is_not_the_links_says_nothing(
    beside: dict[str, Value], name: str
) -> None:
    """What other traffic or a busy processor left over is no figure of the link."""
    judged = judge()
    for n in (1, 2):
        tags = {"link": "main", "direction": "down"}
        sample = Sample(tags, {"tests": 1, "rate_bps": 300_000.0, **beside})
        judged.observe(Reading("throughput", Outcome.OK, n, (sample,)))
    assert minutes(judged, [_all(20)] * 3)[-1].name == name


@pytest.mark.parametrize("cause", ["deadline", "stalled"])
def test_forms_that_do_not_arrive_in_time_are_the_links(cause: str) -> None:
    """An upload whose time is up failed by the network, as one that stalled did."""
    judged = judge()
    tags = {"link": "main", "target": RULES.form}
    for n in range(1, 11):
        sample = Sample(tags, {"data_bytes": 100_000})
        judged.observe(Reading("web", Outcome.FAILED, n, (sample,), cause))
    last = minutes(judged, [_all(20)] * 3)[-1]
    assert last.figure is not None
    assert (last.name, last.figure.kpi) == ("bad", "form_failures")


def test_availability_is_y1540s() -> None:
    """Unavailable from a loss of 0.20 in the minute, whatever the class."""
    got = minutes(judge(), [_all(17), _all(16), _all(20)])
    assert [each.available for each in got] == [True, False, True]
    fields = got[1].reading().samples[0].fields
    assert (fields["available"], fields["unavailable"]) == (0, 60)


def test_a_gateway_is_no_service() -> None:
    """A gateway that answers, with nothing beyond it, is unavailable."""
    rounds = [{Layer.GATEWAY: 20, Layer.ANCHOR: 0}] * 2
    assert [each.available for each in minutes(judge(), rounds)] == [False, False]


def test_rules_follow_the_settings() -> None:
    """What is configured is what is judged by."""
    settings = Settings.model_validate({"verdict": {"worsen_after": "3m"}})
    got = rules(settings)
    assert (got.worsen_s, got.form) == (180.0, "forms")
    assert got.thresholds == RULES.thresholds


def test_a_judgement_is_a_point_of_the_schema() -> None:
    """Every field it can have is in the table, with its type."""
    rounds = [_all(20)] * 2 + [_all(0)] * 14
    for judgement in minutes(judge(), rounds):
        (point,) = points(judgement.reading(), IDENTITY)
        assert encode(Record(point.measurement, point.tags, point.fields, 1))
