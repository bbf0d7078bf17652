"""Tokens, files and variables of a wrong form: one line with key, value and fix."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config import calendar_file, text_file, thresholds, toml_file
from qos_agent.config.key_file import read_key
from qos_agent.config.loading import load
from qos_agent.config.settings import CollectorSection
from qos_agent.config.sources import Sources
from qos_agent.config.token import checked_token, read_token
from qos_agent.model.errors import ConfigError, InvalidConfigError
from qos_agent.noc import settings as noc_settings
from qos_agent.noc.simulator import scenario
from qos_agent.probes.registry import PROBES

BOM = b"\xef\xbb\xbf"
CALENDAR = Path(calendar_file.__file__).parent / "elections" / "2024-02-14.toml"
THRESHOLDS = Path(thresholds.__file__).parent / "data" / "thresholds.toml"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"abc\xe2\x80\x93def\n", "contains U+2013 EN DASH at line 1, column 4"),
        (b"\n abc\xe2\x80\x93\n", "contains U+2013 EN DASH at line 2, column 5"),
        (b"one\ntwo\n", "contains a second line at line 2, column 1"),
        (b"one\r\n\r\n  two\r\n", "contains a second line at line 3, column 3"),
        (b"a\tb", "contains U+0009 at line 1, column 2"),
        (b"a\xef\xbb\xbfb", "U+FEFF ZERO WIDTH NO-BREAK SPACE at line 1, column 2"),
        (b"a" * 9000 + b"\n", "must be at most 8192 characters long"),
        (b"ab\xff", "is not UTF-8: byte 0xff at line 1, column 3"),
        (b"\xff\xfea\0b\0", "is UTF-16, and must be UTF-8"),
        (b"", "contains no token"),
        (BOM + b"\r\n", "contains no token"),
    ],
)
def test_a_token_that_is_no_header_is_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    """The error has the place, and no character of the token that is allowed."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        read_token(path)
    assert problem in str(raised.value)
    assert str(path) in str(raised.value)
    with pytest.raises(ValueError, match=re.escape(problem)) as refused:
        CollectorSection.model_validate({"token_file": str(path)})
    assert str(path) not in str(refused.value)  # pydantic's error has no values


@pytest.mark.parametrize(
    "content", [b"abc", b"abc\n", BOM + b"abc\r\n", b"\n  abc \n\n", BOM + b"\nabc"]
)
def test_what_editors_add_around_a_token_is_removed(
    tmp_path: Path, content: bytes
) -> None:
    """A byte order mark and white space are no part of the token."""
    path = tmp_path / "token"
    path.write_bytes(content)
    assert read_token(path) == "abc"


@pytest.mark.parametrize(
    "content",
    [
        "'abc'",
        '"abc"\n',
        "`abc`",
        "Token abc",
        "bearer  abc",
        'Token "abc"',
        "Authorization: Token abc",
        "'Authorization: Token abc'",
    ],
)
def test_what_people_copy_with_a_token_is_removed(content: str) -> None:
    """Quotes and the name of the HTTP scheme are no part of the token."""
    assert checked_token(content) == "abc"


@pytest.mark.parametrize("token", ["user:it's", "Tokenabc", "'", '"abc', "user:a b"])
def test_quotes_and_words_within_a_token_stay(token: str) -> None:
    """A password may contain them."""
    assert checked_token(token) == token


@given(st.text())
def test_a_token_is_always_a_header_value_or_an_error(text: str) -> None:
    """Every token that passes the check can be sent."""
    try:
        token = checked_token(text)
    except ValueError:
        return
    assert token.isascii()
    assert token.isprintable() or not token


@given(st.binary())
def test_every_content_of_a_file_is_text_or_an_error(content: bytes) -> None:
    """No content causes another exception."""
    with suppress(ValueError):
        assert isinstance(text_file.decoded(content), str)


def _load_agent(path: Path) -> object:
    return load(Sources(path, {}, None), PROBES)


READERS: list[tuple[Callable[[Path], object], bytes]] = [
    (_load_agent, b"[latency]\ncount = 5\n"),
    (noc_settings.load, b'folder = "x"\n'),
    (calendar_file.load, CALENDAR.read_bytes()),
    (thresholds.load, THRESHOLDS.read_bytes()),
    (lambda path: scenario.load(str(path)), b'name = "x"\n'),
]
NAMES = ["agent", "noc", "calendar", "thresholds", "scenario"]


@pytest.mark.parametrize(("read", "content"), READERS, ids=NAMES)
def test_files_may_begin_with_a_byte_order_mark(
    tmp_path: Path, read: Callable[[Path], object], content: bytes
) -> None:
    """Editors of Windows add it to every UTF-8 file."""
    path = tmp_path / "file.toml"
    path.write_bytes(BOM + content)
    read(path)


@pytest.mark.parametrize(("read", "content"), READERS, ids=NAMES)
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.decode().encode("utf-16"), "is UTF-16, and must be UTF-8"),
        (lambda c: c.decode().encode("utf-16-le"), "is UTF-16, and must be UTF-8"),
        (lambda c: c.decode().encode("utf-16-be"), "is UTF-16, and must be UTF-8"),
        (lambda c: c.decode().encode("utf-32"), "is UTF-32, and must be UTF-8"),
        (lambda c: c.decode().encode("utf-32-le"), "is UTF-32, and must be UTF-8"),
        (
            lambda c: b"\0\0\xfe\xff" + c.decode().encode("utf-32-be"),
            "is UTF-32, and must be UTF-8",
        ),
        (lambda c: bytes(len(c)), "contains only zero bytes"),
        (lambda c: c.replace(b"\n", b"\r"), "has a line end of CR alone in line 1"),
        (
            lambda c: b"# \n" + c.replace(b"\n", b"\r\r\n"),
            "has a line end of CR alone in line 2",
        ),
        (lambda c: b"\n# \xff\n" + c, "is not UTF-8: byte 0xff at line 2, column 3"),
        (lambda _: b"a = " + b"[" * 5000, "is nested too deeply"),
        (lambda _: b".".join([b"a"] * 100_000) + b" = 1", "is nested too deeply"),
        (lambda _: b".".join([b"a"] * 900) + b" = 1", "is nested too deeply"),
        (lambda _: b"a = " + b"9" * 5000, "is not valid TOML"),
        (lambda _: b"a", "is not valid TOML"),
    ],
    ids=[
        *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *(
            "zeros",
            "CR",
            "CR CR LF",
            "latin-1",
            "nested",
            "dotted",
            "900",
            "digits",
            "text",
        ),
    ],
)
def test_files_of_another_form_are_one_error(
    tmp_path: Path,
    read: Callable[[Path], object],
    content: bytes,
    change: Callable[[bytes], bytes],
    problem: str,
) -> None:
    """The error names the file and what to do."""
    path = tmp_path / "file.toml"
    path.write_bytes(change(content))
    with pytest.raises(InvalidConfigError) as raised:
        read(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: {problem}")
    assert ". Fix: " in line


def test_a_file_without_an_end_is_an_error() -> None:
    """A device such as /dev/zero does not fill the memory."""
    with pytest.raises(InvalidConfigError, match="must be at most"):
        toml_file.read(Path("/dev/zero"))


def test_an_empty_device_is_an_empty_file() -> None:
    """/dev/null ends at once. It is no pipe that a command may fill later."""
    assert toml_file.read(Path("/dev/null")) == {}


@pytest.mark.parametrize(
    "parts", [["[station]\nid = 'x'\n"], ["[station]\n", "id = 'x'"]]
)
@pytest.mark.parametrize("first", ["reader", "writer"])
def test_a_pipe_is_read_to_its_end(
    tmp_path: Path, parts: Sequence[str], first: str
) -> None:
    """The writer of `-c <(command)` may be slow, or may have ended already."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # keeps what a writer leaves

    def write() -> None:
        with path.open("w", buffering=1) as pipe:
            for part in parts:
                pipe.write(part)

    writer = threading.Thread(target=write)
    try:
        if first == "writer":
            writer.start()
            writer.join()
            assert toml_file.read(path) == {"station": {"id": "x"}}
        else:
            timer = threading.Timer(0.05, writer.start)
            timer.start()
            assert toml_file.read(path) == {"station": {"id": "x"}}
            timer.join()
            writer.join()
    finally:
        os.close(held)


def test_a_pipe_that_nobody_fills_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it does not wait for a writer, and reading it ends."""
    monkeypatch.setattr(text_file, "_WAIT_S", 0.05)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InvalidConfigError, match="cannot be read: no data"):
        toml_file.read(path)
    with pytest.raises(ConfigError, match="cannot be read: no data"):
        read_token(path)
    with pytest.raises(ConfigError, match="cannot be read: no data"):
        read_key(path)


_COLLECTOR_KEYS = (
    "QOS_AGENT_COLLECTOR__URL, QOS_AGENT_COLLECTOR__ORG, QOS_AGENT_COLLECTOR__BUCKET"
)
_LINES = {
    ("LINKS", "wwan0"): (
        "QOS_AGENT_LINKS: must be a list in JSON (found: 'wwan0'). Fix: write "
        """QOS_AGENT_LINKS='[{"name": "main", "interface": "wwan0"}]'."""
    ),
    ("COLLECTOR", "https://u:p@db.example"): (
        "QOS_AGENT_COLLECTOR: must be a table in JSON (found: "
        "'https://***@db.example'). Fix: set the variables of its keys, such as "
        f"{_COLLECTOR_KEYS}."
    ),
    ("COLLECTOR", '{"token": "abc"'): (
        "QOS_AGENT_COLLECTOR: must be a table in JSON (found: hidden, 15 characters). "
        f"Fix: set the variables of its keys, such as {_COLLECTOR_KEYS}."
    ),
    ("THROUGHPUT__BACKENDS", "http"): (
        "QOS_AGENT_THROUGHPUT__BACKENDS: must be a list in JSON (found: 'http'). "
        """Fix: write QOS_AGENT_THROUGHPUT__BACKENDS='["http"]'."""
    ),
    ("LINKS__0__NAME", "x"): (
        "QOS_AGENT_LINKS__0__NAME: is part of a list, which only one variable can "
        "contain (found: 'x'). Fix: set QOS_AGENT_LINKS to the whole list in JSON, or "
        "use the file."
    ),
    ("LINKS", "[1]"): (
        "links.0: must be a table (found: 1). Fix: edit links.0 in the environment "
        "(QOS_AGENT_LINKS)."
    ),
    ("SCHEDULE__IDLE", "off"): (
        "QOS_AGENT_SCHEDULE__IDLE: must be a table in JSON (found: 'off'). Fix: set "
        "the variables of its keys, such as QOS_AGENT_SCHEDULE__IDLE__KEY."
    ),
    ("STATION__ID__X", "1"): (
        "QOS_AGENT_STATION__ID__X: is not a setting, because the one before it is no "
        "table. Fix: remove it, or set QOS_AGENT_STATION__ID."
    ),
    ("SCHEDULE__FOO__LATENCY", "5m"): (
        "schedule.foo: unknown key. Fix: remove it in the environment "
        "(QOS_AGENT_SCHEDULE__FOO__LATENCY) (known keys: counting, idle, post, pre, "
        "voting)."
    ),
}


@pytest.mark.parametrize(("variable", "line"), _LINES.items(), ids=str)
def test_variables_of_another_form_are_one_error(
    variable: tuple[str, str], line: str
) -> None:
    """The line has the variable, its value without secrets, and the fix."""
    name, text = variable
    sources = Sources(None, {f"QOS_AGENT_{name}": text}, None)
    with pytest.raises(InvalidConfigError) as raised:
        load(sources, PROBES)
    assert str(raised.value) == line


@given(st.sampled_from(["LINKS", "COLLECTOR", "WEB__PAGES", "VERDICT"]), st.text())
def test_no_value_of_a_variable_causes_another_exception(name: str, text: str) -> None:
    """Lists and tables are read as JSON, of any depth and with any characters."""
    for value in (text, "[" * 5000, '{"a":' * 5000 + text):
        sources = Sources(None, {f"QOS_AGENT_{name}": value}, None)
        with pytest.raises(InvalidConfigError, match=r"must be a|unknown key"):
            load(sources, PROBES)


@pytest.mark.parametrize("content", [b"abc\xe2\x80\x93", b"\xff", b"\xff\xfea\0"])
def test_a_credential_of_another_form_is_one_error(
    tmp_path: Path, content: bytes
) -> None:
    """A token of systemd's LoadCredential is checked as one of the file."""
    (tmp_path / "collector.token").write_bytes(content)
    with pytest.raises(InvalidConfigError, match=r"token.*Fix: "):
        load(Sources(None, {}, tmp_path), PROBES)


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "check", "-c", "agent.toml"),
        ("doctor", "-c", "agent.toml"),
        ("noc", "census", "--once", "-c", "noc.toml"),
        ("noc", "simulate", "healthy", "-c", "noc.toml"),
    ],
    ids=" ".join,
)
def test_commands_refuse_a_wrong_token(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """One line, status 2, no traceback."""
    (tmp_path / "token").write_bytes(b"abc\xe2\x80\x93def\n")
    collector = 'url = "http://127.0.0.1:1"\ntoken_file = "token"\n'
    (tmp_path / "agent.toml").write_text(f"[collector]\n{collector}")
    (tmp_path / "noc.toml").write_text(f"[[collectors]]\n{collector}")
    command = [sys.executable, "-m", "qos_agent", *arguments]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())}
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (line,) = run.stderr.splitlines()
    assert "token_file: contains U+2013 EN DASH at line 1, column 4" in line
    assert run.returncode == 2


def test_a_credential_that_is_missing_names_the_service_to_start() -> None:
    """systemd creates the credentials of a unit only while the unit runs."""
    path = Path("/run/credentials/qos-agent-no-such.service/rollup.token")
    with pytest.raises(ConfigError) as raised:
        read_token(path)
    assert "sudo systemctl start qos-agent-no-such;" in raised.value.fix
