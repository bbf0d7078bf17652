"""Spending never exceeds the allowance, and voting hours begin with their reserve."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.journal import Journal
from qos_agent.model import Link
from qos_agent.model.errors import InvalidConfigError
from qos_agent.probes.registry import PROBES
from qos_agent.schedule.allowance import Allowance
from qos_agent.schedule.allowance_account import (
    AllowanceAccount,
    Grant,
    Refusal,
    allowances,
)
from tests.journal.support import open_journal, put
from tests.support.clocks import ELECTION_MORNING_NS, FakeClock
from tests.support.ledgers import HOUR_NS, MAIN, MemoryLedger, make_account

MB = 1_000_000
NIGHT_OFFSET_NS = ELECTION_MORNING_NS - 10**12 - 6 * HOUR_NS


def _night() -> FakeClock:
    """Return a clock at one in the morning of election day, in Jakarta."""
    return FakeClock(offset_ns=NIGHT_OFFSET_NS)


Step = tuple[Literal["reserve", "settle", "crash", "wait"], int]
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("reserve"), st.sampled_from([3_000, 60_000, 2 * MB, 11 * MB])
        ),
        st.tuples(st.just("settle"), st.integers(0, 100)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([60, 3600, 40_000])),
    ),
    max_size=60,
)


class _Simulation:
    """Tasks that move bytes, an agent that crashes, and the operator's bill."""

    def __init__(self, allowance: Allowance) -> None:
        self.clock = _night()
        self.ledger = MemoryLedger(self.clock)
        self.allowance = allowance
        self.account = self._start()
        self.open: dict[Grant, int] = {}
        self.billed: dict[str, int] = {}
        self.billed_before_the_vote = 0

    def _start(self) -> AllowanceAccount:
        return make_account(self.ledger, self.clock, self.allowance)

    def do(self, kind: str, amount: int) -> None:
        """Take one step. A granted task is billed its worst case until it settles."""
        match kind:
            case "reserve":
                result = self.account.reserve(MAIN, "probe", amount)
                if isinstance(result, Grant):
                    self.open[result] = amount
                    self._bill(amount)
            case "settle" if self.open:
                grant, worst = self.open.popitem()
                spent = worst * amount // 100
                self.account.settle(grant, spent)
            case "crash":
                self.open.clear()
                self.account = self._start()
            case "wait":
                self.clock.advance(amount)

    def _bill(self, amount: int) -> None:
        day = self.ledger.day("", self.clock.boot_ns())
        self.billed[day] = self.billed.get(day, 0) + amount
        if self.clock.wall_ns() < ELECTION_MORNING_NS:
            self.billed_before_the_vote += amount

    def counted(self) -> dict[str, int]:
        """Return the bytes that the ledger counts on each day."""
        sums: dict[str, int] = {}
        for entry in self.ledger.usage("main", ""):
            sums[entry.day] = sums.get(entry.day, 0) + entry.spent_bytes
        return sums


@given(steps, st.sampled_from([20 * MB, 50 * MB]), st.sampled_from([None, 15 * MB]))
def test_no_sequence_exceeds_the_allowance(
    sequence: list[Step], month: int, day: int | None
) -> None:
    """Reserve, settle, crash and wait in any order: both limits hold."""
    simulation = _Simulation(Allowance(month, day, reserve_bytes=5 * MB))
    for step in sequence:
        simulation.do(*step)
        counted = simulation.counted()
        assert sum(counted.values()) <= month
        assert day is None or max(counted.values(), default=0) <= day


@given(st.lists(st.sampled_from([3_000, 60_000, 2 * MB, 11 * MB]), max_size=80))
def test_a_link_moves_no_more_than_was_granted(sizes: list[int]) -> None:
    """With every task at its worst case, the link moves no more than allowed."""
    simulation = _Simulation(Allowance(30 * MB, reserve_bytes=10 * MB))
    for size in sizes:
        simulation.do("reserve", size)
    assert sum(simulation.billed.values()) <= 20 * MB


@given(steps)
def test_the_reserve_is_untouched_before_the_vote(sequence: list[Step]) -> None:
    """Voting hours begin with their reserve after any sequence in the night."""
    simulation = _Simulation(Allowance(40 * MB, 30 * MB, reserve_bytes=25 * MB))
    for kind, amount in sequence:
        if kind != "wait" or simulation.clock.wall_ns() + amount * 10**9 < (
            ELECTION_MORNING_NS
        ):
            simulation.do(kind, amount)
    simulation.account.close()
    simulation.clock.advance((ELECTION_MORNING_NS - simulation.clock.wall_ns()) / 1e9)
    remaining = simulation.account.remaining("main")
    assert remaining.month_bytes is not None
    assert remaining.month_bytes >= 25 * MB
    assert remaining.day_bytes is not None
    assert remaining.day_bytes >= 25 * MB
    assert isinstance(simulation.account.reserve(MAIN, "throughput", 25 * MB), Grant)


def test_a_refusal_has_the_reason() -> None:
    """Beyond the remaining bytes it is `allowance`; within the reserve, `reserve`."""
    clock = _night()
    account = make_account(
        MemoryLedger(clock), clock, Allowance(20 * MB, reserve_bytes=15 * MB)
    )
    assert account.reserve(MAIN, "throughput", 25 * MB) == Refusal("allowance")
    assert account.reserve(MAIN, "throughput", 11 * MB) == Refusal("reserve")
    clock.advance(6 * 3600)
    assert isinstance(account.reserve(MAIN, "throughput", 11 * MB), Grant)


@pytest.mark.parametrize(
    ("roaming", "allowed", "granted"),
    [
        (True, False, False),
        (True, True, True),
        (None, False, True),
        (False, False, True),
    ],
)
def test_roaming_is_forbidden_unless_allowed(
    roaming: bool | None, allowed: bool, granted: bool
) -> None:
    """A roaming link moves nothing; without a report from its modem it is at home."""
    clock = _night()
    allowance = Allowance(roaming=allowed)
    account = make_account(MemoryLedger(clock), clock, allowance, roaming=roaming)
    result = account.reserve(MAIN, "latency", 3_000)
    assert (result != Refusal("roaming")) is granted


def test_without_an_allowance_everything_is_granted_and_counted() -> None:
    """The bytes of an unlimited link are still counted."""
    clock = _night()
    ledger = MemoryLedger(clock)
    account = make_account(ledger, clock, Allowance())
    grant = account.reserve(Link("other", "xl"), "throughput", 500 * MB)
    assert isinstance(grant, Grant)
    account.settle(grant, 400 * MB)
    assert [entry.spent_bytes for entry in ledger.usage("other", "")] == [400 * MB]
    assert account.remaining("other").month_bytes is None


def test_an_unsettled_task_counts_in_full_after_a_crash() -> None:
    """The bytes of a killed task are unknown, so its worst case stays spent."""
    clock = _night()
    ledger = MemoryLedger(clock)
    make_account(ledger, clock, Allowance(20 * MB)).reserve(MAIN, "throughput", 11 * MB)
    restarted = make_account(ledger, clock, Allowance(20 * MB))
    assert restarted.remaining("main").month_bytes == 9 * MB


def test_settling_returns_the_unused_bytes() -> None:
    """Nine unused megabytes of eleven are available to the next task."""
    clock = _night()
    account = make_account(MemoryLedger(clock), clock, Allowance(20 * MB))
    grant = account.reserve(MAIN, "throughput", 11 * MB)
    assert isinstance(grant, Grant)
    account.settle(grant, 2 * MB)
    assert account.remaining("main").month_bytes == 18 * MB


def test_small_tasks_share_one_commit() -> None:
    """Two hundred trains of three kilobytes share one reservation, counted exactly."""
    clock = _night()
    ledger = MemoryLedger(clock)
    account = make_account(ledger, clock, Allowance(20 * MB))
    for _ in range(200):
        grant = account.reserve(MAIN, "latency", 3_000)
        assert isinstance(grant, Grant)
        account.settle(grant, 2_500)
    assert len(ledger.rows) == 1
    account.close()
    assert account.remaining("main").month_bytes == 20 * MB - 200 * 2_500


def test_an_advance_ends_with_voting_hours_and_with_the_day() -> None:
    """No advance is used both inside and outside voting hours, or on two days."""
    clock = _night()
    ledger = MemoryLedger(clock)
    account = make_account(ledger, clock, Allowance(20 * MB, reserve_bytes=5 * MB))
    for hours in (0, 6, 6, 24):
        clock.advance(hours * 3600)
        assert isinstance(account.reserve(MAIN, "latency", 3_000), Grant)
    days = [day for _, day, _, _ in ledger.rows]
    assert days == ["2024-02-14", "2024-02-14", "2024-02-14", "2024-02-15"]


def test_the_uplink_is_counted() -> None:
    """Bytes without a reservation reduce the allowance too."""
    clock = _night()
    account = make_account(MemoryLedger(clock), clock, Allowance(20 * MB, 10 * MB))
    account.spend("main", "uplink", 4 * MB)
    remaining = account.remaining("main")
    assert (remaining.month_bytes, remaining.day_bytes) == (16 * MB, 6 * MB)


def test_no_day_begins_without_a_trusted_clock() -> None:
    """Without a trusted clock the day's allowance is spent once, not at every boot."""
    clock = _night()
    ledger = MemoryLedger(clock)
    allowance = Allowance(day_bytes=12 * MB)
    assert isinstance(
        make_account(ledger, clock, allowance).reserve(MAIN, "throughput", 11 * MB),
        Grant,
    )
    clock.trusted = False
    clock.step(-3 * 365 * 86400)
    for _ in range(3):
        clock.advance(86400)
        account = make_account(ledger, clock, allowance)
        assert account.reserve(MAIN, "throughput", 11 * MB) == Refusal("allowance")


def test_undated_bytes_count_in_the_month_that_the_clock_shows_later() -> None:
    """Bytes moved without a trusted clock count when the clock is set."""
    clock = _night()
    ledger = MemoryLedger(clock)
    allowance = Allowance(20 * MB)
    make_account(ledger, clock, allowance).remaining("main")
    clock.trusted = False
    grant = make_account(ledger, clock, allowance).reserve(MAIN, "throughput", 11 * MB)
    assert isinstance(grant, Grant)
    clock.advance(40 * 86400)
    clock.trusted = True
    assert (
        make_account(ledger, clock, allowance).remaining("main").month_bytes == 9 * MB
    )


def test_a_clock_set_on_the_same_day_counts_nothing_twice() -> None:
    """An hour without a trusted clock costs the bytes moved in it, once."""
    clock = _night()
    ledger = MemoryLedger(clock)
    account = make_account(ledger, clock, Allowance(40 * MB))
    account.remaining("main")
    clock.trusted = False
    assert isinstance(account.reserve(MAIN, "throughput", 11 * MB), Grant)
    clock.advance(3600)
    clock.trusted = True
    assert account.remaining("main").month_bytes == 29 * MB


@given(
    st.dates(date(2000, 1, 1), date(2090, 12, 31)),
    st.integers(min_value=1, max_value=31),
)
def test_every_day_is_in_one_month(day: date, reset_day: int) -> None:
    """Months cover the calendar without overlap, for any reset day."""
    start, end = Allowance(reset_day=reset_day).period(day)
    assert start <= day < end
    assert 28 <= (end - start).days <= 31
    assert Allowance(reset_day=reset_day).period(start) == (start, end)
    assert Allowance(reset_day=reset_day).period(end)[0] == end


def test_months_begin_on_the_reset_day() -> None:
    """Reset day 31 is the last day of February; the month before began in January."""
    late = Allowance(reset_day=31)
    assert late.period(date(2024, 2, 14)) == (date(2024, 1, 31), date(2024, 2, 29))
    fifth = Allowance(reset_day=5)
    assert fifth.period(date(2024, 1, 4)) == (date(2023, 12, 5), date(2024, 1, 5))


def _journal(folder: Path, clock: FakeClock) -> Journal:
    journal = open_journal(folder)
    put(journal, clock)
    return journal


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(steps)
def test_the_real_journal_keeps_the_allowance(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[Step]
) -> None:
    """The limits also hold with a journal that is opened again after a crash."""
    folder, clock = tmp_path_factory.mktemp("journal"), _night()
    allowance = Allowance(30 * MB, 15 * MB, reserve_bytes=5 * MB)
    journal = _journal(folder, clock)
    account = make_account(journal, clock, allowance)
    grants: list[tuple[Grant, int]] = []
    for kind, amount in sequence:
        if kind == "reserve":
            result = account.reserve(MAIN, "probe", amount)
            grants += [(result, amount)] if isinstance(result, Grant) else []
        elif kind == "settle" and grants:
            grant, worst = grants.pop()
            account.settle(grant, worst * amount // 100)
        elif kind == "crash":
            journal.close()
            journal, grants = _journal(folder, clock), []
            account = make_account(journal, clock, allowance)
        elif kind == "wait":
            clock.advance(amount)
        spent = sum(entry.spent_bytes for entry in journal.usage("main", "2024-01-01"))
        assert spent <= 30 * MB
    journal.close()


def test_no_month_begins_before_the_journal_knows_the_clock(tmp_path: Path) -> None:
    """Bytes always count on the day whose allowance permitted them."""
    clock = _night()
    journal = _journal(tmp_path, clock)
    allowance = Allowance(12 * MB)
    account = make_account(journal, clock, allowance)
    assert isinstance(account.reserve(MAIN, "throughput", 11 * MB), Grant)
    clock.step(40 * 86400)
    assert account.reserve(MAIN, "throughput", 11 * MB) == Refusal("allowance")
    put(journal, clock)
    assert isinstance(account.reserve(MAIN, "throughput", 11 * MB), Grant)
    assert account.reserve(MAIN, "throughput", 11 * MB) == Refusal("allowance")
    journal.close()


def test_a_grant_before_the_journal_knows_the_clock_is_counted_after(
    tmp_path: Path,
) -> None:
    """A task between a clock step and the next commit counts in its own month."""
    clock = _night()
    journal = _journal(tmp_path, clock)
    account = make_account(journal, clock, Allowance(12 * MB))
    clock.step(40 * 86400)
    assert isinstance(account.reserve(MAIN, "throughput", 11 * MB), Grant)
    put(journal, clock)
    assert account.remaining("main").month_bytes == 1 * MB
    journal.close()


def test_each_link_has_its_own_settings(tmp_path: Path) -> None:
    """A link without its own setting uses the common one."""
    path = tmp_path / "agent.toml"
    path.write_text(
        '[[links]]\nname = "main"\n[[links]]\nname = "spare"\n'
        '[links.allowance]\nmonthly = "500MB"\nroaming = true\n'
        '[allowance]\nmonthly = "1GB"\nreset_day = 5\nvoting_reserve = "300MB"\n'
    )
    result = allowances(load(Sources(path, {}, None), PROBES).settings)
    assert result["main"] == Allowance(1000 * MB, None, 5, False, 300 * MB)
    assert result["spare"] == Allowance(500 * MB, None, 5, True, 300 * MB)


def test_a_reserve_beyond_the_day_is_refused(tmp_path: Path) -> None:
    """A reserve that exceeds the daily allowance is a configuration error."""
    path = tmp_path / "agent.toml"
    path.write_text(
        '[allowance]\nmonthly = "1GB"\ndaily = "50MB"\nvoting_reserve = "300MB"\n'
    )
    with pytest.raises(InvalidConfigError, match="must be at most daily"):
        load(Sources(path, {}, None), PROBES)


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '{"main": 1}', '{"main": ["x", 1]}', '{"main": ["2024-02-14", "1"]}'],
)
def test_damaged_usage_without_a_date_is_none(text: str) -> None:
    """The agent starts, and tests are granted from the allowance."""
    clock = FakeClock()
    ledger = MemoryLedger(clock)
    ledger.set_state("allowance_undated", text)
    account = make_account(ledger, clock, Allowance(20 * MB))
    assert isinstance(account.reserve(MAIN, "probe", MB), Grant)
