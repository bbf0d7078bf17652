"""Public keys of devices in the register, with their history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.evidence.notes import parse_verifier_key, verifier_key
from qos_agent.evidence.signer import PublicKey
from qos_agent.model.errors import ConfigError
from qos_agent.noc.register.keys import DeviceKey, KeyRegister, read_keys
from qos_agent.noc.register.store import Register
from tests.noc.commands import centre

STATION, OTHER = "3171010001001", "3171010001002"
NAME = "qos-agent/pi-1"
NOW_S = 1_700_000_000


def _key(byte: int, at_s: int = 100, station: str = STATION) -> DeviceKey:
    return DeviceKey(station, NAME, PublicKey(bytes([byte]) * 32), at_s)


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyRegister]:
    """Return the keys of an empty register."""
    store = KeyRegister(tmp_path / "register.sqlite3")
    yield store
    store.close()


def test_a_new_key_ends_the_one_before(keys: KeyRegister) -> None:
    """A seal of the old time has the old key, and one of the new time the new key."""
    assert keys.apply([_key(1, 100)]) == {"added": 1}
    assert keys.apply([_key(1, 150)]) == {"unchanged": 1}
    assert keys.apply([_key(2, 200)]) == {"replaced": 1}
    found = [keys.at(STATION, at_s) for at_s in (99, 100, 199, 200, 10**9)]
    raws = [None if key is None else key.key.raw[0] for key in found]
    assert raws == [None, 1, 1, 2, 2]
    assert [key.valid_to for key in keys.history(STATION)] == [200, None]


def test_a_closed_key_is_not_valid_any_more(keys: KeyRegister) -> None:
    """After a theft the key ends, and a station without a key has none to close."""
    keys.apply([_key(1, 100)])
    assert keys.close_key(STATION, 300)
    assert not keys.close_key(STATION, 300)
    assert keys.at(STATION, 299) is not None
    assert keys.at(STATION, 300) is None


def test_a_repeated_enrolment_changes_nothing(keys: KeyRegister) -> None:
    """A device may ask again; a key that was closed in the meantime stays closed."""
    assert keys.enrol(_key(1, 100))
    assert not keys.enrol(_key(1, 100))
    assert keys.close_key(STATION, 150)
    assert not keys.enrol(_key(1, 100))
    assert [key.valid_to for key in keys.history(STATION)] == [150]
    assert keys.enrol(_key(1, 200))
    assert [key.valid_to for key in keys.history(STATION)] == [150, None]


def test_an_imported_key_stays_valid_from_its_creation(keys: KeyRegister) -> None:
    """The seals before the enrolment of the same device keep their key."""
    keys.apply([_key(1, 100)])
    assert not keys.enrol(_key(1, 200))
    assert keys.close_key(STATION, 250)
    assert not keys.enrol(_key(1, 200))
    assert [key.valid_from for key in keys.history(STATION)] == [100]


def test_a_device_that_moves_ends_its_key_at_the_old_station(
    keys: KeyRegister,
) -> None:
    """A key is valid at one station at a time."""
    keys.enrol(_key(1, 100))
    assert keys.enrol(_key(1, 200, OTHER))
    spans = [(key.station, key.valid_from, key.valid_to) for key in keys.history()]
    assert spans == [(STATION, 100, 200), (OTHER, 200, None)]


def test_a_key_of_two_stations_is_refused(keys: KeyRegister) -> None:
    """A copied card has the key of another station; nothing is imported then."""
    keys.apply([_key(1)])
    with pytest.raises(ConfigError, match=f"valid at station {STATION}.*--new-key"):
        keys.apply([_key(2, station=OTHER), _key(1, station=OTHER)])
    assert keys.history(OTHER) == []


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), max_size=12))
def test_a_station_has_one_key_at_a_moment(changes: list[tuple[int, int]]) -> None:
    """Whatever the order of imports, no two spans of a station overlap."""
    keys = KeyRegister(Path(":memory:"))
    for byte, at_s in changes:
        keys.apply([_key(byte, at_s)])
    rows = keys.history(STATION)
    for at_s in range(10):
        ends = [10**9 if key.valid_to is None else key.valid_to for key in rows]
        spans = zip(rows, ends, strict=True)
        valid = [key for key, end in spans if key.valid_from <= at_s < end]
        assert len(valid) <= 1
    assert not changes or sum(key.valid_to is None for key in rows) == 1
    keys.close()


def test_a_file_has_the_lines_that_enrol_writes(tmp_path: Path) -> None:
    """A key is valid from its creation, but not from a moment in the future."""
    text = verifier_key(NAME, bytes(32))
    path = tmp_path / "keys.pub"
    path.write_text(
        f"# keys\n\n{STATION} {text} 2023-01-01T00:00:00Z\n{OTHER},{text}\n"
    )
    first, second = read_keys(path, NOW_S)
    assert (first.station, first.name, first.text()) == (STATION, NAME, text)
    assert (first.valid_from, second.valid_from) == (1_672_531_200, NOW_S)
    assert read_keys(path, NOW_S, 5)[0].valid_from == 5
    path.write_text(f"{STATION} {text} 2999-01-01T00:00:00Z\n")
    assert read_keys(path, NOW_S)[0].valid_from == NOW_S


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("317 KEY", "13-digit"),
        (f"{STATION}", "NAME.IDENTITY.KEY"),
        (f"{STATION} {verifier_key(NAME, bytes(32))[:-2]}", "base64"),
        (f"{STATION} {verifier_key('other', bytes(32))[5:]}", "NAME.IDENTITY.KEY"),
        (f"{STATION} x{verifier_key(NAME, bytes(32))}", "does not match"),
        (f"{STATION} {verifier_key(NAME, bytes(32), 4)}", "not of type 1"),
        (f"{STATION} {verifier_key(NAME, bytes(32))} today", "time 'today'"),
        (f"{STATION} {verifier_key(NAME, bytes(32))} 1 x", "must be a station"),
        ("\0\ufffd", "13-digit"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    """The error has file, line and fix; an identity finds a typing error."""
    path = tmp_path / "keys.pub"
    path.write_text(f"# one\n{line}\n")
    with pytest.raises(ConfigError, match=rf"line 2.*{message}"):
        read_keys(path, NOW_S)


def test_two_keys_of_a_station_in_one_file_are_refused(tmp_path: Path) -> None:
    """The order of lines must not decide which key counts."""
    path = tmp_path / "keys.pub"
    lines = [f"{STATION} {verifier_key(NAME, bytes([n]) * 32)}\n" for n in (1, 2)]
    path.write_text("".join(lines))
    with pytest.raises(ConfigError, match="another key in this file"):
        read_keys(path, NOW_S)


def test_the_key_of_sumdb_is_read() -> None:
    """The text of golang.org/x/mod v0.43.0, sumdb/note/example_test.go, is a key."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, raw = parse_verifier_key(text)
    assert (name, verifier_key(name, raw)) == ("PeterNeumann", text)


@pytest.mark.slow
def test_the_commands_import_show_and_close(tmp_path: Path) -> None:
    """Without --apply nothing changes; `keys` shows the spans of both keys."""
    noc = centre(tmp_path, [], {})
    old, new = tmp_path / "old.pub", tmp_path / "new.pub"
    for path, byte in ((old, 1), (new, 2)):
        text = verifier_key(NAME, bytes([byte]) * 32)
        path.write_text(f"{STATION} {text} 2023-01-0{byte}T00:00:00Z\n")
    assert "there is no register" in noc.run("register", "keys").stderr
    Register(tmp_path / "register.sqlite3").close()
    shown = noc.run("register", "import-keys", str(old)).stdout
    assert "1 added" in shown
    assert "Nothing was imported yet" in shown
    assert noc.run("register", "keys").returncode == 1
    for path in (old, new):
        assert noc.run("register", "import-keys", str(path), "--apply").returncode == 0
    assert noc.run("register", "close-key", STATION).returncode == 0
    rows = json.loads(noc.run("register", "keys", STATION, "--json").stdout)
    assert [row["valid_from"][:10] for row in rows] == ["2023-01-01", "2023-01-02"]
    assert all(row["valid_to"] for row in rows)
    assert noc.run("register", "close-key", STATION).returncode == 1
