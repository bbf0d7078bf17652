"""The ledger: one live issue a station, each code used once, and history kept."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.noc.provision.admission import (
    REPEAT_S,
    Admissions,
    Outcome,
)
from qos_agent.noc.provision.ledger import FILE_NAME, Ledger, State
from tests.noc.provision.ledgers import (
    EXPIRES_S,
    NOW_S,
    ONE,
    OTHER,
    applicant,
    begun,
    code_hash,
    issued,
    opened,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return an empty ledger."""
    return opened(tmp_path)


def _state(ledger: Ledger, station: str = ONE) -> State:
    return ledger.issues(station)[-1].state


def test_a_station_has_one_live_issue(ledger: Ledger) -> None:
    """A second issue is left out, and the database itself refuses one."""
    (first,) = begun(ledger, ONE)
    assert begun(ledger, ONE) == []
    (other,) = begun(ledger, ONE, OTHER)
    assert (other.station, other.serial) == (OTHER, 1)
    copy = (
        "INSERT INTO issue (station, serial, account, config, code_hash, state, "
        "changed_s, changed_by) VALUES (?, 9, '', '', x'00', 'making', 0, '')"
    )
    with pytest.raises(sqlite3.IntegrityError):
        ledger.database.execute(copy, (first.station,))


def test_an_issue_is_used_once(ledger: Ledger) -> None:
    """The first device receives its content; a second one is refused and recorded."""
    issued(ledger, ONE)
    admissions = Admissions(ledger)
    first = admissions.admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S + 1)
    assert (first.outcome, first.station) == (Outcome.ACCEPTED, ONE)
    assert (first.sealed, first.config) == (f"{ONE}-1".encode(), f"# {ONE}-1\n")
    second = admissions.admit(code_hash(ONE, 1), applicant("thief", "192.0.2.9"), NOW_S)
    assert (second.outcome, second.sealed, second.config) == (Outcome.USED, b"", "")
    assert admissions.suspicious() == [ONE]
    assert [(a.peer, a.outcome) for a in admissions.attempts(ONE)] == [
        ("192.0.2.1", Outcome.ACCEPTED),
        ("192.0.2.9", Outcome.USED),
    ]
    (issue,) = ledger.issues(ONE)
    device = applicant("pi-1")
    assert (issue.device, issue.public_key) == ("pi-1", device.public_key)
    assert issue.used_s == NOW_S + 1


def test_the_same_device_may_ask_again_for_a_day(ledger: Ledger) -> None:
    """A lost answer does not cost the code, and a later use is refused."""
    issued(ledger, ONE)
    admissions = Admissions(ledger)
    admissions.admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S)
    again = admissions.admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S + REPEAT_S)
    assert (again.outcome, again.config) == (Outcome.REPEATED, f"# {ONE}-1\n")
    late = admissions.admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S + REPEAT_S + 1)
    assert late.outcome is Outcome.USED
    assert ledger.issues(ONE)[0].used_s == again.key_from_s == NOW_S


def test_a_code_expires(ledger: Ledger) -> None:
    """An expired code is refused, whether or not a command has ended it before."""
    issued(ledger, ONE, OTHER)
    admissions = Admissions(ledger)
    for station in (ONE, OTHER):
        found = admissions.admit(code_hash(station, 1), applicant("pi-1"), EXPIRES_S)
        assert found.outcome is Outcome.EXPIRED
        assert _state(ledger, station) is State.EXPIRED
        ledger.expire(EXPIRES_S)
    assert len(ledger.ended_with_account()) == 2


def test_an_unfinished_or_unknown_code_is_unknown(ledger: Ledger) -> None:
    """A code counts only after its credential is stored."""
    begun(ledger, ONE)
    admissions = Admissions(ledger)
    for code in (code_hash(ONE, 1), b"none"):
        found = admissions.admit(code, applicant("pi-1"), NOW_S)
        assert found.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("state", [State.REVOKED, State.REPLACED])
def test_an_ended_issue_is_refused_and_its_key_ends(
    ledger: Ledger, state: State
) -> None:
    """The account is listed until it is removed, and the next issue has a new code."""
    issued(ledger, ONE)
    admissions = Admissions(ledger)
    admissions.admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S)
    assert ledger.end(ONE, state, NOW_S + 5, "tester")
    assert not ledger.end(ONE, state, NOW_S + 6, "tester")
    again = admissions.admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S + 7)
    assert again.outcome == state.value
    (ended,) = ledger.ended_with_account()
    ledger.account_removed(ended.id)
    assert ledger.ended_with_account() == []
    issued(ledger, ONE, at_s=NOW_S + 8)
    admissions.admit(code_hash(ONE, 2), applicant("pi-2"), NOW_S + 9)
    used = [(issue.device, issue.used_s) for issue in ledger.issues(ONE)]
    assert used == [("pi-1", NOW_S), ("pi-2", NOW_S + 9)]


def test_an_issue_that_was_revoked_while_it_was_made_stays_revoked(
    ledger: Ledger,
) -> None:
    """The credential that arrives later is not stored, and its account is listed."""
    (issue,) = begun(ledger, ONE)
    ledger.end(ONE, State.REVOKED, NOW_S, "tester")
    assert ledger.finish([(issue.id, b"late")], EXPIRES_S, NOW_S) == 0
    assert [i.id for i in ledger.ended_with_account()] == [issue.id]


def test_the_history_names_who_changed_the_state(ledger: Ledger) -> None:
    """Each change of state is an event."""
    issued(ledger, ONE)
    Admissions(ledger).admit(code_hash(ONE, 1), applicant("pi-1"), NOW_S + 1)
    ledger.end(ONE, State.REPLACED, NOW_S + 2, "sari")
    events = [(e.serial, e.state, e.by) for e in ledger.events(ONE)]
    mark = applicant("pi-1").fingerprint
    assert events == [
        (1, State.MAKING, "tester"),
        (1, State.ISSUED, "tester"),
        (1, State.USED, f"device pi-1, key {mark}, address 192.0.2.1"),
        (1, State.REPLACED, "sari"),
    ]


def test_a_flood_of_unknown_codes_adds_one_row_a_minute(ledger: Ledger) -> None:
    """Each attempt is counted, and new keys add no rows."""
    admissions = Admissions(ledger)
    for number in range(50):
        admissions.admit(b"none", applicant(f"pi-{number}"), NOW_S)
    admissions.refuse(Outcome.LIMITED, "192.0.2.1", NOW_S)
    found = [(a.outcome, a.count) for a in admissions.attempts()]
    assert found == [(Outcome.LIMITED, 1), (Outcome.UNKNOWN, 50)]
    assert admissions.suspicious() == []


def _apply(folder: Path, device: str) -> Outcome:
    """Use the code of the first station in a process of its own."""
    admissions = Admissions(opened(folder))
    return admissions.admit(code_hash(ONE, 1), applicant(device), NOW_S).outcome


def test_processes_admit_one_device(tmp_path: Path) -> None:
    """Of several processes that use one code at once, one is accepted."""
    issued(opened(tmp_path), ONE)
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes:
        devices = [f"pi-{number}" for number in range(30)]
        outcomes = list(processes.map(_apply, [tmp_path] * 30, devices))
    assert sorted(outcomes) == [Outcome.ACCEPTED, *[Outcome.USED] * 29]


def test_two_processes_issue_once(tmp_path: Path) -> None:
    """Of two connections that begin the same stations, each station has one issue."""
    one, two = opened(tmp_path), opened(tmp_path)
    stations = [f"{3171010001000 + n}" for n in range(100)]
    first, second = begun(one, *stations[:60]), begun(two, *stations)
    assert len(first) + len(second) == 100
    assert begun(one, *stations) == []


def test_only_the_owner_reads_the_file(ledger: Ledger, tmp_path: Path) -> None:
    """The ledger has credentials, though encrypted."""
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "finish", "revoke", "replace", "expire", "admit"]),
        st.sampled_from([ONE, OTHER]),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_no_order_of_changes_breaks_the_rules(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    """A station has at most one live issue and one key, and a code one device."""
    ledger = opened(tmp_path_factory.mktemp("ledger"))
    ledger.database.execute("PRAGMA synchronous = OFF")
    admissions = Admissions(ledger)
    accepted: list[tuple[str, int]] = []
    for at_s, (step, station, number) in enumerate(steps, NOW_S):
        match step:
            case "begin":
                begun(ledger, station, at_s=at_s)
            case "finish":
                made = [(i.id, b"x") for i in ledger.in_state(State.MAKING)]
                ledger.finish(made, at_s + 10, at_s)
            case "expire":
                ledger.expire(at_s)
            case "admit":
                device = applicant(f"pi-{number}-{at_s}")
                code = code_hash(station, number)
                found = admissions.admit(code, device, at_s)
                if found.outcome is Outcome.ACCEPTED:
                    accepted.append((station, number))
            case _:
                state = State.REVOKED if step == "revoke" else State.REPLACED
                ledger.end(station, state, at_s, "tester")
        for place in (ONE, OTHER):
            live = {State.MAKING, State.ISSUED, State.USED}
            assert sum(i.state in live for i in ledger.issues(place)) <= 1
    assert len(accepted) == len(set(accepted))
    ledger.close()
