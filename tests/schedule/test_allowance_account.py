"""The allowance is never passed, and the vote's share is there when it comes."""

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
    """One o'clock in the morning of election day, in Jakarta."""
    return FakeClock(offset_ns=NIGHT_OFFSET_NS)


Step = tuple[Literal["ask", "settle", "crash", "wait"], int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([3_000, 60_000, 2 * MB, 11 * MB])),
        st.tuples(st.just("settle"), st.integers(0, 100)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([60, 3600, 40_000])),
    ),
    max_size=60,
)


class _World:
    """Tasks that move bytes on a link, an agent that crashes, and a bill."""

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
        """One step; a granted task is billed its worst case until it settles."""
        match kind:
            case "ask":
                got = self.account.reserve(MAIN, "probe", amount)
                if isinstance(got, Grant):
                    self.open[got] = amount
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
        """What the ledger counts on each day."""
        sums: dict[str, int] = {}
        for use in self.ledger.usage("main", ""):
            sums[use.day] = sums.get(use.day, 0) + use.spent_bytes
        return sums


@given(steps, st.sampled_from([20 * MB, 50 * MB]), st.sampled_from([None, 15 * MB]))
def test_no_sequence_passes_the_allowance(
    sequence: list[Step], month: int, day: int | None
) -> None:
    """Asks, settles, crashes and midnights in any order: both limits hold."""
    world = _World(Allowance(month, day, reserve_bytes=5 * MB))
    for step in sequence:
        world.do(*step)
        counted = world.counted()
        assert sum(counted.values()) <= month
        assert day is None or max(counted.values(), default=0) <= day


@given(st.lists(st.sampled_from([3_000, 60_000, 2 * MB, 11 * MB]), max_size=80))
def test_what_moves_is_what_was_granted(sizes: list[int]) -> None:
    """With every task at its worst case, the link itself moves no more than allowed."""
    world = _World(Allowance(30 * MB, reserve_bytes=10 * MB))
    for size in sizes:
        world.do("ask", size)
    assert sum(world.billed.values()) <= 20 * MB


@given(steps)
def test_the_reserve_is_untouched_before_the_vote(sequence: list[Step]) -> None:
    """Whatever happened in the night, voting hours begin with their reserve."""
    world = _World(Allowance(40 * MB, 30 * MB, reserve_bytes=25 * MB))
    for kind, amount in sequence:
        if kind != "wait" or world.clock.wall_ns() + amount * 10**9 < (
            ELECTION_MORNING_NS
        ):
            world.do(kind, amount)
    world.account.close()
    world.clock.advance((ELECTION_MORNING_NS - world.clock.wall_ns()) / 1e9)
    left = world.account.remaining("main")
    assert left.month_bytes is not None
    assert left.month_bytes >= 25 * MB
    assert left.day_bytes is not None
    assert left.day_bytes >= 25 * MB
    assert isinstance(world.account.reserve(MAIN, "throughput", 25 * MB), Grant)


def test_the_reason_says_what_stands_in_the_way() -> None:
    """More than is left is `allowance`; what is kept for the vote is `reserve`."""
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
    """A link known to roam moves nothing; one whose modem is silent is at home."""
    clock = _night()
    allowance = Allowance(roaming=allowed)
    account = make_account(MemoryLedger(clock), clock, allowance, roaming=roaming)
    got = account.reserve(MAIN, "latency", 3_000)
    assert (got != Refusal("roaming")) is granted


def test_without_an_allowance_all_is_granted_and_counted() -> None:
    """A link that nobody limited is still counted."""
    clock = _night()
    ledger = MemoryLedger(clock)
    account = make_account(ledger, clock, Allowance())
    grant = account.reserve(Link("other", "xl"), "throughput", 500 * MB)
    assert isinstance(grant, Grant)
    account.settle(grant, 400 * MB)
    assert [use.spent_bytes for use in ledger.usage("other", "")] == [400 * MB]
    assert account.remaining("other").month_bytes is None


def test_an_unsettled_task_counts_in_full_after_a_crash() -> None:
    """What a killed task moved is unknown: its worst case stays spent."""
    clock = _night()
    ledger = MemoryLedger(clock)
    make_account(ledger, clock, Allowance(20 * MB)).reserve(MAIN, "throughput", 11 * MB)
    restarted = make_account(ledger, clock, Allowance(20 * MB))
    assert restarted.remaining("main").month_bytes == 9 * MB


def test_settling_gives_back_what_was_not_moved() -> None:
    """Nine of eleven megabytes unused are there for the next task."""
    clock = _night()
    account = make_account(MemoryLedger(clock), clock, Allowance(20 * MB))
    grant = account.reserve(MAIN, "throughput", 11 * MB)
    assert isinstance(grant, Grant)
    account.settle(grant, 2 * MB)
    assert account.remaining("main").month_bytes == 18 * MB


def test_small_tasks_share_one_commit() -> None:
    """Two hundred trains of three kilobytes are one reservation, counted exactly."""
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


def test_an_advance_ends_with_the_vote_and_with_the_day() -> None:
    """What small tasks may draw is carried neither out of voting nor over night."""
    clock = _night()
    ledger = MemoryLedger(clock)
    account = make_account(ledger, clock, Allowance(20 * MB, reserve_bytes=5 * MB))
    for hours in (0, 6, 6, 24):
        clock.advance(hours * 3600)
        assert isinstance(account.reserve(MAIN, "latency", 3_000), Grant)
    days = [day for _, day, _, _ in ledger.rows]
    assert days == ["2024-02-14", "2024-02-14", "2024-02-14", "2024-02-15"]


def test_the_uplink_is_counted() -> None:
    """Bytes that nobody asked for are gone from the allowance all the same."""
    clock = _night()
    account = make_account(MemoryLedger(clock), clock, Allowance(20 * MB, 10 * MB))
    account.spend("main", "uplink", 4 * MB)
    left = account.remaining("main")
    assert (left.month_bytes, left.day_bytes) == (16 * MB, 6 * MB)


def test_no_day_begins_on_a_clock_that_is_not_known() -> None:
    """Without a trusted clock the day's allowance is spent once, not every boot."""
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


def test_what_was_spent_undated_counts_in_the_month_that_comes_to_light() -> None:
    """A month that began while the clock was lost does not begin anew with its end."""
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


def test_the_clock_coming_back_on_the_same_day_counts_nothing_twice() -> None:
    """An hour without a trusted clock costs what was moved in it."""
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
    """Periods tile the calendar, whatever the reset day and the month's length."""
    start, end = Allowance(reset_day=reset_day).period(day)
    assert start <= day < end
    assert 28 <= (end - start).days <= 31
    assert Allowance(reset_day=reset_day).period(start) == (start, end)
    assert Allowance(reset_day=reset_day).period(end)[0] == end


def test_months_begin_on_the_reset_day() -> None:
    """The 31st is the last day of February; the month before began in January."""
    late = Allowance(reset_day=31)
    assert late.period(date(2024, 2, 14)) == (date(2024, 1, 31), date(2024, 2, 29))
    fifth = Allowance(reset_day=5)
    assert fifth.period(date(2024, 1, 4)) == (date(2023, 12, 5), date(2024, 1, 5))


def _journal(folder: Path, clock: FakeClock) -> Journal:
    journal = open_journal(folder)
    put(journal, clock)
    return journal


@settings(max_examples=15, deadline=None)
@given(steps)
def test_the_real_journal_keeps_the_allowance(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[Step]
) -> None:
    """The same law over the journal on disk, which is opened again after a crash."""
    folder, clock = tmp_path_factory.mktemp("journal"), _night()
    allowance = Allowance(30 * MB, 15 * MB, reserve_bytes=5 * MB)
    journal = _journal(folder, clock)
    account = make_account(journal, clock, allowance)
    grants: list[tuple[Grant, int]] = []
    for kind, amount in sequence:
        if kind == "ask":
            got = account.reserve(MAIN, "probe", amount)
            grants += [(got, amount)] if isinstance(got, Grant) else []
        elif kind == "settle" and grants:
            grant, worst = grants.pop()
            account.settle(grant, worst * amount // 100)
        elif kind == "crash":
            journal.close()
            journal, grants = _journal(folder, clock), []
            account = make_account(journal, clock, allowance)
        elif kind == "wait":
            clock.advance(amount)
        spent = sum(use.spent_bytes for use in journal.usage("main", "2024-01-01"))
        assert spent <= 30 * MB
    journal.close()


def test_before_the_journal_knows_the_clock_no_new_month_begins(tmp_path: Path) -> None:
    """Bytes are never booked on another day than the one they were allowed on."""
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


def test_what_was_granted_before_the_journal_knew_is_counted_after(
    tmp_path: Path,
) -> None:
    """A task between a clock step and the next commit costs the month it ran in."""
    clock = _night()
    journal = _journal(tmp_path, clock)
    account = make_account(journal, clock, Allowance(12 * MB))
    clock.step(40 * 86400)
    assert isinstance(account.reserve(MAIN, "throughput", 11 * MB), Grant)
    put(journal, clock)
    assert account.remaining("main").month_bytes == 1 * MB
    journal.close()


def test_links_have_what_their_settings_say(tmp_path: Path) -> None:
    """What a link does not say for itself is as for all."""
    path = tmp_path / "agent.toml"
    path.write_text(
        '[[links]]\nname = "main"\n[[links]]\nname = "spare"\n'
        '[links.allowance]\nmonthly = "500MB"\nroaming = true\n'
        '[allowance]\nmonthly = "1GB"\nreset_day = 5\nvoting_reserve = "300MB"\n'
    )
    got = allowances(load(Sources(path, {}, None), PROBES).settings)
    assert got["main"] == Allowance(1000 * MB, None, 5, False, 300 * MB)
    assert got["spare"] == Allowance(500 * MB, None, 5, True, 300 * MB)


def test_a_reserve_beyond_the_day_is_refused(tmp_path: Path) -> None:
    """A reserve that a single day cannot spend is a mistake, said in one line."""
    path = tmp_path / "agent.toml"
    path.write_text(
        '[allowance]\nmonthly = "1GB"\ndaily = "50MB"\nvoting_reserve = "300MB"\n'
    )
    with pytest.raises(InvalidConfigError, match="must be at most daily"):
        load(Sources(path, {}, None), PROBES)
