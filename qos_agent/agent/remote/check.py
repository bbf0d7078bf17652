"""One check for a new configuration: fetch, verify, decide, and keep.

Everything that a server sends is hostile until it is verified. A file that is not
accepted changes nothing: neither the settings, nor the pauses, nor the version below
which the device accepts no other one.

While votes are cast or counted, the device takes from an index of the normal key only
its pauses. If it withdraws the content in force, the device returns to the content
before, which it has kept. Another content needs two emergency keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from qos_agent.config.remote import index as indexes
from qos_agent.config.remote.in_force import Remote, of_content
from qos_agent.config.remote.index import Content, Index
from qos_agent.config.remote.layers import own_layer
from qos_agent.config.remote.store import (
    APPLIED,
    NEWEST,
    PREVIOUS,
    Held,
    Store,
    hashes_of,
)
from qos_agent.evidence import key_set, notes
from qos_agent.evidence.key_set import Authority
from qos_agent.influx.documents import Document
from qos_agent.model import Identity
from qos_agent.model.errors import InvalidConfigError, SigningError

ACCEPTED, REFUSED = "remote_accepted", "remote_refused"
# Key sets that a device may have missed. More in one check are not believable.
_SETS_MAX = 20
_DETAIL_MAX = 300


class Get(Protocol):
    """Fetches a file by its name; None if no server answered."""

    def __call__(self, name: str, etag: str | None = None) -> Document | None:
        """Fetch the file, unless it still has the ETag."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """The events of a check, and True if a content is ready to be loaded."""

    reached: bool
    events: tuple[tuple[str, str], ...] = ()
    apply: bool = False


@dataclass(slots=True)
class _Notes:
    """The events of one check, and the problems that were reported before."""

    events: list[tuple[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def take(self) -> tuple[tuple[str, str], ...]:
        """Return the events since the last call."""
        taken, self.events = tuple(self.events), []
        return taken


class Check:
    """The checks of one device. For use by one thread.

    `now_s` returns the wall time, or None without a trusted clock. `validate` loads the
    settings with a remote configuration and raises InvalidConfigError.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        get: Get,
        now_s: Callable[[], float | None],
        validate: Callable[[Remote], object],
    ) -> None:
        self._store = store
        self._identity = identity
        self._get = get
        self._now_s = now_s
        self._validate = validate
        self._etag: str | None = None
        self._notes = _Notes()
        self._tried: tuple[int, int] | None = None
        self.refusals = 0
        self.newest = store.held(NEWEST)
        self._applied = store.held(APPLIED)

    @property
    def index(self) -> Index | None:
        """The newest index that the device has accepted."""
        return self.newest.index if self.newest else None

    @property
    def expired(self) -> bool:
        """True if the newest index has expired, by a trusted clock."""
        now_s = self._now_s()
        if self.newest is None or now_s is None:
            return False
        return self.newest.index.valid_until.timestamp() < now_s

    def run(self, *, frozen: bool) -> Result:
        """Check once. `frozen` is True while votes are cast or counted.

        Raises OSError if the files cannot be stored; the next check tries again.
        """
        try:
            reached = self._look()
            apply = self.newest is not None and self._settle(self.newest, frozen=frozen)
        except SigningError as error:
            # The device cannot verify, so it changes nothing.
            self._refuse(f"signature: {error}")
            return Result(False, self._notes.take())
        if self.expired:
            self._report("the newest version has expired, and no newer one arrives")
        return Result(reached, self._notes.take(), apply)

    def _look(self) -> bool:
        """Fetch the index of the province; True if a server had it."""
        name = indexes.INDEX_NAME.format(province=self._identity.province)
        document = self._get(name, self._etag if self.newest else None)
        if document is None:
            return False
        if document.status == HTTPStatus.NOT_MODIFIED:
            return True
        if document.status != HTTPStatus.OK:
            return False
        if self.newest is None or document.body != self.newest.content:
            self._receive(document)
        else:
            self._etag = document.etag
        return True

    def _receive(self, document: Document) -> None:
        try:
            held = self._verified(document.body)
            self._check(held.index)
        except ValueError as error:
            self._refuse(str(error))
            return
        self._store.keep(NEWEST, held)
        self.newest, self._etag, self._tried = held, document.etag, None
        self._notes.refused.clear()
        index = held.index
        detail = f"version {index.version}, {held.authority.value} key"
        self._notes.events.append((ACCEPTED, detail))

    def _verified(self, content: bytes) -> Held:
        """Return an index with a correct signature. Raises ValueError, SigningError.

        Key sets that the device has missed are fetched first.
        """
        if len(content) > indexes.FILE_MAX_BYTES:
            raise ValueError(f"an index of {len(content)} bytes is too large")
        wanted = _key_set_of(content)
        for number in range(self._store.keys().number + 1, wanted + 1):
            if wanted - number >= _SETS_MAX:
                raise ValueError(f"key set {wanted} is not believable")
            document = self._get(indexes.KEY_SET_NAME.format(number=number))
            if document is None or document.status != HTTPStatus.OK:
                raise ValueError(f"key set {number} is missing")
            following = key_set.successor(
                document.body, self._store.keys(), self._store.verifying
            )
            self._store.keep_keys(following, document.body)
        return self._store.verified(content)

    def _check(self, index: Index) -> None:
        """Compare an index with this device, its clock and the newest one.

        Raises ValueError.
        """
        version = f"version {index.version}"
        if index.scope != self._identity.province:
            raise ValueError(f"{version} is for province {index.scope}")
        if self.newest is not None and index.order <= self.newest.index.order:
            known = self.newest.index.version
            raise ValueError(f"{version} is not newer than version {known}")
        now_s = self._now_s()
        if now_s is not None and index.valid_until.timestamp() < now_s:
            raise ValueError(
                f"{version} expired at {index.valid_until:%Y-%m-%dT%H:%MZ}"
            )

    def _settle(self, newest: Held, *, frozen: bool) -> bool:
        """Prepare the content for this station; True if it is ready to be loaded."""
        station = self._identity.station
        chosen, present = newest.index.chosen(station), self._present()
        if chosen == present or self._tried == newest.index.order:
            return False
        if frozen and newest.authority is not Authority.EMERGENCY:
            if present and present.version in newest.index.withdrawn:
                return self._withdraw(newest.index)
            if not self._is_vouched(newest.index, chosen):
                return False
        return self._prepare(newest, chosen)

    def _present(self) -> Content | None:
        if self._applied is None:
            return None
        return self._applied.index.chosen(self._identity.station)

    def _withdraw(self, index: Index) -> bool:
        """Return to the content before, or to the device's own settings."""
        previous = self._store.held(PREVIOUS)
        self._store.remove(PREVIOUS)
        station = self._identity.station
        if previous and previous.index.chosen(station).version not in index.withdrawn:
            self._store.keep(APPLIED, previous)
            self._applied = previous
        else:
            self._store.remove(APPLIED)
            self._applied = None
        return True

    def _is_vouched(self, index: Index, chosen: Content) -> bool:
        """Return True if two emergency keys have signed this content before.

        Raises SigningError.
        """
        if index.vouched is None:
            return False
        name = indexes.VOUCHED_NAME.format(province=index.scope, version=index.vouched)
        document = self._get(name)
        if document is None or document.status != HTTPStatus.OK:
            return False
        try:
            held = self._store.verified(document.body)
        except ValueError as error:
            self._refuse(f"{name}: {error}")
            return False
        same = held.index.scope == index.scope
        same = same and held.index.chosen(self._identity.station) == chosen
        return same and held.authority is Authority.EMERGENCY

    def _prepare(self, newest: Held, chosen: Content) -> bool:
        """Fetch what is missing, validate the whole, and make it the stored content."""
        station = self._identity.station
        try:
            if not all(map(self._has_file, hashes_of(chosen, station))):
                return False
            own = own_layer(self._store, chosen, station)
            if own and not all(map(self._has_file, own[0].hashes())):
                return False
            self._validate(of_content(self._store, chosen, station))
        except InvalidConfigError as error:
            self._tried = newest.index.order
            self._refuse(f"version {newest.index.version}: {error}")
            return False
        if self._applied is not None:
            self._store.keep(PREVIOUS, self._applied)
        self._store.keep(APPLIED, newest)
        self._applied = newest
        # The new content is stored; files that stay cost only space.
        with suppress(OSError, InvalidConfigError):
            self._store.keep_only(set(self._used(station)))
        return True

    def _used(self, station: str) -> Iterator[str]:
        for name in (APPLIED, PREVIOUS):
            held = self._store.held(name)
            if held is None:
                continue
            content = held.index.chosen(station)
            yield from hashes_of(content, station)
            own = own_layer(self._store, content, station)
            yield from own[0].hashes() if own else ()

    def _has_file(self, digest: str) -> bool:
        """Return True if a file is stored, after fetching it if it is missing."""
        if self._store.file(digest) is not None:
            return True
        document = self._get(f"files/{digest}.toml")
        if document is None or document.status != HTTPStatus.OK:
            return False
        try:
            self._store.keep_file(digest, document.body)
        except ValueError as error:
            self._refuse(str(error))
            return False
        return True

    def _refuse(self, detail: str) -> None:
        self.refusals += 1
        self._report(detail)

    def _report(self, detail: str) -> None:
        """Report a problem once, until a newer version is accepted."""
        detail = " ".join(detail.split())[:_DETAIL_MAX]
        if detail not in self._notes.refused:
            self._notes.refused.add(detail)
            self._notes.events.append((REFUSED, detail))


def _key_set_of(content: bytes) -> int:
    """Return the number of the key set that an index names. Raises ValueError."""
    return indexes.parsed(notes.parse_note(content).text).key_set
