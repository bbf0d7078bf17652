"""The plan of a provisioning run: which stations, at which server, with what."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from qos_agent.influx.accounts import AccountError, Accounts, accounts_of
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc.provision.configuration import (
    check_config,
    common_settings,
    device_config,
)
from qos_agent.noc.provision.ledger import FILE_NAME, Issue, Ledger, State
from qos_agent.noc.provision.making import Made, Maker, Pace, make, remove_accounts
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from qos_agent.noc.register.keys import KeyRegister
from qos_agent.noc.register.store import Entry, Register
from qos_agent.noc.remote import device_table
from qos_agent.noc.settings import NocSettings, ShardSection


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stations of a run: some, those of a province, or all of the register.

    A station receives a first issue. It receives another one if its last issue is in
    one of the states `after`.
    """

    stations: tuple[str, ...] = ()
    province: str | None = None
    after: frozenset[State] = frozenset()

    def has(self, station: str) -> bool:
        """Return True if a station belongs to the run."""
        if self.stations:
            return station in self.stations
        return self.province in {None, station[:2]}


class Centre:
    """The register, the ledger and the key of the centre, opened together."""

    def __init__(self, settings: NocSettings) -> None:
        folder = settings.folder
        register = folder / "register.sqlite3"
        if not register.exists():
            fix = "name the centre's configuration with -c, or import stations first"
            raise OperatorError(f"{register}: there is no register. Fix: {fix}.")
        self.settings = settings
        self.register = Register(register)
        self.keys = KeyRegister(register)
        self.ledger = Ledger(folder / FILE_NAME)
        self.vault = Vault.of(settings.provision.key_file or folder / KEY_NAME)
        self.codes = Codes.of(self.ledger, self.vault)

    def close(self) -> None:
        """Close the files."""
        self.register.close()
        self.keys.close()
        self.ledger.close()

    def code(self, issue: Issue) -> str:
        """Return the enrolment code of an issue."""
        return self.codes.code(issue.station, issue.serial)

    def entries(self, wanted: Wanted) -> Iterator[Entry]:
        """Yield the wanted stations that are expected now."""
        now_s = int(time.time())
        for regency in sorted(self.register.expected(now_s)):
            entries = self.register.stations(regency, now_s)
            yield from (entries[code] for code in sorted(entries) if wanted.has(code))

    def shard_of(self, entry: Entry) -> ShardSection:
        """Return the server of a station. Raises ConfigError."""
        shard = self.settings.shard_of(entry.province)
        if shard is None or shard.url is None:
            problem = f"no collector has province {entry.province}"
            fix = "add a [[collectors]] table with its url to noc.toml"
            raise ConfigError("collectors", None, problem, fix)
        return shard


def unknown_stations(centre: Centre, stations: Collection[str]) -> list[str]:
    """Return those of some codes that are not in the register now."""
    now_s = int(time.time())
    return [s for s in stations if centre.register.home(s, now_s) is None]


def provision(
    centre: Centre, wanted: Wanted, by: str, progress: Callable[[int], None]
) -> Made:
    """Issue for all wanted stations that have no issue. Raises OperatorError."""
    ledger = centre.ledger
    ledger.expire(int(time.time()))
    made = Made(progress=progress)
    common = common_settings(centre.settings.provision.common)
    common += device_table.table(centre.settings)
    for shard, entries in _by_shard(centre, wanted):
        by_code = {entry.code: entry for entry in entries}

        def config_of(
            code: str, shard: ShardSection = shard, known: dict[str, Entry] = by_code
        ) -> str:
            return device_config(known[code], shard, common)

        check_config(config_of(next(iter(by_code))), centre.settings)
        maker = maker_of(centre, shard, by)
        _sweep(maker, ledger, by_code, made)
        unfinished = [i for i in ledger.in_state(State.MAKING) if i.station in by_code]
        make(
            maker, _without_issue(ledger, by_code, wanted), config_of, made, unfinished
        )
        if made.failure is not None:
            break
    return made


def end(centre: Centre, stations: Collection[str], state: State, by: str) -> list[str]:
    """End the issues of stations and remove their accounts; return the remaining ones.

    The codes and keys end first. A station without a live issue is left out. The
    accounts of unreachable servers remain until the next run.
    """
    remaining = []
    for station in stations:
        now_s = int(time.time())
        centre.ledger.end(station, state, now_s, by)
        if state is State.REVOKED or _was_used(centre.ledger, station):
            centre.keys.close_key(station, now_s)
        for issue in centre.ledger.issues(station):
            if issue in centre.ledger.ended_with_account():
                remaining += _removed(centre, station, issue, by)
    return remaining


def _was_used(ledger: Ledger, station: str) -> bool:
    """Return True if a device enrolled with the last issue.

    If only a label was lost, the key of the device stays valid.
    """
    issues = ledger.issues(station)
    return bool(issues) and issues[-1].used_s is not None


def _removed(centre: Centre, station: str, issue: Issue, by: str) -> list[str]:
    shard = centre.settings.shard_of(station[:2])
    try:
        if shard is None:
            return [f"{station}: no collector has its province"]
        remove_accounts(maker_of(centre, shard, by), [issue])
    except AccountError as error:
        return [f"{station}: its account remains: {error}"]
    return []


def maker_of(centre: Centre, shard: ShardSection, by: str) -> Maker:
    """Return the maker for one server. Raises AccountError or ConfigError."""
    section = centre.settings.provision
    return Maker(
        ledger=centre.ledger,
        vault=centre.vault,
        codes=centre.codes,
        accounts=administered(shard, section.parallel),
        pace=Pace(section.rate),
        parallel=section.parallel,
        patience_s=section.patience,
        valid_s=section.valid,
        by=by,
    )


def administered(shard: ShardSection, connections: int) -> Accounts:
    """Return the accounts of a server. Raises AccountError or ConfigError."""
    if shard.admin_token_file is None:
        fix = "set it in the [[collectors]] table to a file with USER:PASSWORD or token"
        raise ConfigError("collectors.admin_token_file", None, "missing", fix)
    change = {"token": None, "token_file": shard.admin_token_file}
    return accounts_of(shard.model_copy(update=change), connections)


def labels(centre: Centre, wanted: Wanted) -> Iterator[tuple[Issue, Entry]]:
    """Yield the wanted stations whose code can be used, with their issue."""
    usable = {
        issue.station: issue
        for issue in centre.ledger.in_state(State.ISSUED)
        if (issue.expires_s or 0) > time.time()
    }
    for entry in centre.entries(wanted):
        if entry.code in usable:
            yield usable[entry.code], entry


def _by_shard(
    centre: Centre, wanted: Wanted
) -> Iterator[tuple[ShardSection, list[Entry]]]:
    """Yield each server with its wanted stations."""
    groups: dict[str, tuple[ShardSection, list[Entry]]] = {}
    for entry in centre.entries(wanted):
        shard = centre.shard_of(entry)
        groups.setdefault(str(shard.url) + shard.bucket, (shard, []))[1].append(entry)
    yield from groups.values()


def _sweep(maker: Maker, ledger: Ledger, known: Collection[str], made: Made) -> None:
    """Remove accounts that an earlier command left behind."""
    ended = [i for i in ledger.ended_with_account() if i.station in known]
    try:
        remove_accounts(maker, ended)
    except AccountError as error:
        made.failure = error


def _without_issue(
    ledger: Ledger, known: Collection[str], wanted: Wanted
) -> Iterator[str]:
    """Yield the stations without an issue, and those that receive another one."""
    had = ledger.with_issue()
    yield from (station for station in known if station not in had)
    ended = {issue.station for issue in ledger.in_state(*wanted.after)}
    for station in sorted(ended.intersection(known)):
        if ledger.issues(station)[-1].state in wanted.after:
            yield station
