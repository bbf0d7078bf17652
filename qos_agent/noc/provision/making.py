"""Issues for many stations: resumable, in parallel, at a limited rate.

The ledger records an issue before its account is created and completes it afterwards.
A command that was killed in between left issues in the state `making`; the next one
takes over their accounts. No order of failures creates a second account for an issue,
and no station is left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from qos_agent.influx.accounts import AccountError, Accounts
from qos_agent.noc.provision.ledger import Draft, Issue, Ledger
from qos_agent.noc.provision.vault import Codes, Vault

# Issues that one transaction begins. A killed command leaves about as many unfinished.
BATCH = 50
_RETRY_FIRST_S, _RETRY_MAX_S = 0.5, 15.0


class Pace:
    """A limit of calls a second, shared by threads."""

    def __init__(
        self,
        rate: float,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap_s = 1 / rate
        self._now = now
        self._pause = pause
        self._next_mono = now()
        self._lock = threading.Lock()

    def turn(self) -> None:
        """Wait until the next call may begin."""
        with self._lock:
            start_mono = max(self._next_mono, self._now())
            self._next_mono = start_mono + self._gap_s
        self.rest(start_mono - self._now())

    def rest(self, wait_s: float) -> None:
        """Wait, for another reason than the rate."""
        if wait_s > 0:
            self._pause(wait_s)

    def now_mono(self) -> float:
        """Return the time of this pace's clock."""
        return self._now()


@dataclass(frozen=True, slots=True)
class Maker:
    """All that one run needs to issue for the stations of one server."""

    ledger: Ledger
    vault: Vault
    codes: Codes
    accounts: Accounts
    pace: Pace
    parallel: int
    patience_s: float
    valid_s: float
    by: str
    wall_s: Callable[[], float] = time.time


@dataclass(slots=True)
class Made:
    """The progress of a run: issues made, and the first error that stopped it."""

    count: int = 0
    failure: AccountError | None = None
    progress: Callable[[int], None] = field(default=lambda _: None)


def make(
    maker: Maker,
    stations: Iterable[str],
    config_of: Callable[[str], str],
    made: Made,
    unfinished: Iterable[Issue] = (),
) -> None:
    """Finish unfinished issues and issue for stations that have none.

    Stops at the first error that does not pass; `made` has it.
    """
    tasks = _tasks(maker, stations, config_of, unfinished)
    with ThreadPoolExecutor(maker.parallel) as threads:
        pending: set[Future[tuple[int, bytes]]] = set()
        while made.failure is None:
            for issue, may_exist in islice(tasks, 2 * maker.parallel - len(pending)):
                pending.add(threads.submit(_create, maker, issue, may_exist))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            _finish(maker, done, made)
        _finish(maker, _settled(pending), made)


def remove_accounts(maker: Maker, issues: Iterable[Issue]) -> int:
    """Remove the accounts of ended issues, and return their number.

    Raises AccountError. The ledger keeps those that remain for the next run.
    """
    count = 0
    for issue in issues:
        maker.pace.turn()
        maker.accounts.remove(issue.account)
        maker.ledger.account_removed(issue.id)
        count += 1
    return count


def draft_of(codes: Codes, config_of: Callable[[str], str]) -> Callable[..., Draft]:
    """Return the function by which the ledger drafts an issue."""

    def draft(station: str, serial: int) -> Draft:
        code = codes.code(station, serial)
        name = f"st-{station}-{serial}"
        return Draft(name, config_of(station), codes.hash(code))

    return draft


def _tasks(
    maker: Maker,
    stations: Iterable[str],
    config_of: Callable[[str], str],
    unfinished: Iterable[Issue],
) -> Iterator[tuple[Issue, bool]]:
    """Yield issues to make, and whether the account may exist.

    The next batch begins only when a thread is free for it.
    """
    yield from ((issue, True) for issue in unfinished)
    draft = draft_of(maker.codes, config_of)
    rest = iter(stations)
    while batch := list(islice(rest, BATCH)):
        at_s = int(maker.wall_s())
        for issue in maker.ledger.begin(batch, draft, at_s, maker.by):
            yield issue, False


def _create(maker: Maker, issue: Issue, may_exist: bool) -> tuple[int, bytes]:
    """Create the account of an issue and return its encrypted token.

    Retries while the server does not answer. A lost answer may have created it.
    """
    end_mono = maker.pace.now_mono() + maker.patience_s
    wait_s = _RETRY_FIRST_S
    while True:
        maker.pace.turn()
        try:
            token = maker.accounts.create(issue.account, may_exist=may_exist)
        except AccountError as error:
            if not error.is_passing or maker.pace.now_mono() >= end_mono:
                raise
            may_exist = True
            maker.pace.rest(wait_s)
            wait_s = min(2 * wait_s, _RETRY_MAX_S)
        else:
            return issue.id, maker.vault.seal(token)


def _settled(
    pending: set[Future[tuple[int, bytes]]],
) -> set[Future[tuple[int, bytes]]]:
    """Cancel what has not begun, and wait for the rest."""
    return wait({task for task in pending if not task.cancel()}).done


def _finish(maker: Maker, done: set[Future[tuple[int, bytes]]], made: Made) -> None:
    results = []
    for task in done:
        try:
            results.append(task.result())
        except AccountError as error:
            made.failure = made.failure or error
    at_s = int(maker.wall_s())
    expires_s = at_s + int(maker.valid_s)
    made.count += maker.ledger.finish(results, expires_s, at_s)
    made.progress(made.count)
