"""Publishing: makes the next state, signs it, and writes the published folder.

One command does this at a time. The order is: new files, state, indexes. After a kill
the next command writes the indexes that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qos_agent.config.remote.index import KEY_SET_NAME
from qos_agent.evidence import key_set, notes
from qos_agent.evidence.key_set import KeySet
from qos_agent.evidence.library import fastest_key
from qos_agent.model.errors import OperatorError
from qos_agent.noc.remote import changes, checking, output, signing, source
from qos_agent.noc.remote import state as states
from qos_agent.noc.remote.changes import Terms
from qos_agent.noc.remote.places import Places
from qos_agent.noc.remote.state import State
from qos_agent.noc.settings import NocSettings

KEY_NAME = "config-key.pem"
Change = Callable[[State, Terms], State]


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a command: the version, and what was written."""

    version: int
    files: int = 0
    checked: int = 0
    stations: int = 0


class Publisher:
    """The folders and the key of the centre."""

    def __init__(self, settings: NocSettings) -> None:
        section = settings.remote
        self._places = Places.of(settings)
        self._folder = settings.folder
        self.source, self.published = self._places.source, self._places.published
        self._key_file = section.key_file or settings.folder / KEY_NAME
        self._valid_s = section.valid
        self.published.mkdir(parents=True, exist_ok=True)

    def state(self) -> State:
        """Return the published state."""
        return states.read(self._folder)

    def keys(self) -> KeySet:
        """Return the newest key set. Raises OperatorError."""
        return signing.newest_keys(self.published)

    def terms(self, now_s: int) -> Terms:
        """Return the terms of a publication now."""
        return Terms(now_s, self._valid_s, self.keys().number)

    def alone(self) -> AbstractContextManager[None]:
        """Hold the lock of the folder. Raises OperatorError if it is taken."""
        return self._places.alone()

    def content(self, percent: float, now_s: int, prepare: Path | None) -> Published:
        """Publish the source folder. Raises OperatorError or InvalidConfigError."""
        present, keys = self.state(), self.keys()
        found = source.read(self.source, states.version_of(present) + 1)
        if states.is_same(present, found):
            return self._same(present, percent, now_s, prepare)
        count = checking.check(found, keys)
        new = changes.content(present, found, percent, self.terms(now_s))
        if prepare is not None:
            new = changes.vouched(new)
        written = output.write_files(self.published, found.files)
        self._finish(new, prepare)
        version = states.version_of(new)
        return Published(version, written, count, len(found.own))

    def change(self, change: Change, now_s: int, prepare: Path | None) -> Published:
        """Publish a change that needs no new file. Raises OperatorError."""
        new = change(self.state(), self.terms(now_s))
        self._finish(new, prepare)
        return Published(states.version_of(new))

    def install(self, folder: Path) -> Published:
        """Publish prepared indexes that two people signed. Raises OperatorError."""
        contents = {
            path.stem: path.read_bytes() for path in sorted(folder.glob("*.note"))
        }
        signing.need_two_people(contents.values(), self.keys())
        prepared = states.read(folder)
        texts = {code: index.text() for code, index in prepared.items()}
        found = {c: notes.parse_note(content).text for c, content in contents.items()}
        version = states.version_of(prepared)
        if not found or texts != found:
            fix = "prepare it again"
            raise OperatorError(f"{folder}: is incomplete. Fix: {fix}.")
        if version != states.version_of(self.state()) + 1:
            fix = "prepare it again"
            problem = f"{folder}: version {version} is not the next one"
            raise OperatorError(f"{problem}. Fix: {fix}.")
        output.write_indexes(
            self.published,
            {f"{code}-{version}": content for code, content in contents.items()},
        )
        states.write(self._folder, prepared)
        output.write_indexes(self.published, contents)
        return Published(version)

    def add_keys(self, path: Path, now_s: int) -> KeySet:
        """Publish a key set that two people have signed. Raises OperatorError."""
        content = path.read_bytes()
        present = sorted(self.published.glob(KEY_SET_NAME.format(number="*")))
        try:
            text = notes.parse_note(content).text
            keys = self.keys() if present else key_set.parsed(text)
            following = keys
            if present:
                following = key_set.successor(content, keys, fastest_key)
        except ValueError as error:
            fix = "sign it with two emergency keys of the present set"
            raise OperatorError(f"{path}: {error}. Fix: {fix}.") from error
        if not present:
            signing.need_two_people([content], following)
        name = KEY_SET_NAME.format(number=following.number)
        output.replace(self.published / name, content)
        if state := self.state():
            self._finish(changes.renewal(state, self.terms(now_s)), None)
        return following

    def complete(self) -> bool:
        """Write the indexes that an interrupted command left out; True if any."""
        state = self.state()
        if not state or states.any_index(state).key_set != self.keys().number:
            return False
        paths = (self.published / f"{code}.note" for code in state)
        texts = [index.text() for index in state.values()]
        if texts == [_text_of(path) for path in paths]:
            return False
        output.write_indexes(self.published, self._signed(state))
        return True

    def _same(
        self, present: State, percent: float, now_s: int, prepare: Path | None
    ) -> Published:
        index = states.any_index(present)
        if index.percent == percent:
            return Published(0)
        share = partial(_shared, percent)
        return self.change(share, now_s, prepare)

    def _finish(self, new: State, prepare: Path | None) -> None:
        """Sign and publish a state, or write it to a folder for two people."""
        if prepare is not None:
            prepare.mkdir(parents=True, exist_ok=True)
            for code, index in new.items():
                (prepare / f"{code}.note").write_text(index.text(), encoding="utf-8")
            states.write(prepare, new)
            return
        contents = self._signed(new)
        states.write(self._folder, new)
        output.write_indexes(self.published, contents)

    def _signed(self, state: State) -> Mapping[str, bytes]:
        signer = signing.signer_of(self._key_file)
        name = signing.name_of(signer, self.keys())
        return {
            code: signing.signed(index.text(), signer, name).to_bytes()
            for code, index in state.items()
        }


def _shared(percent: float, state: State, terms: Terms) -> State:
    return changes.share(state, percent, terms)


def _text_of(path: Path) -> str | None:
    """Return the text of a published index, or None if it is missing or damaged."""
    try:
        return notes.parse_note(path.read_bytes()).text
    except (OSError, ValueError):
        return None
