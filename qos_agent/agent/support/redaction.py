"""Removes secrets and the location of the station from a text. Pure.

Known values go first: those that this device uses now. Patterns remove what was used
earlier, or what another program wrote into the log.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote, quote_plus

_MIN_CHARACTERS = 4
# Values of variables that only look like secrets.
_COMMON = ("true", "false", "none", "null", "root", "auto")
# Keys of values, as in JSON, TOML, line protocol and logs. A secret's key may be part
# of a longer name such as `OLD_TOKEN`. The name of a file is no secret.
_HIDDEN = (
    r"[A-Za-z0-9_.\-]*(?:token|passwo?r?d|passphrase|secret|authorization|credentials?|"
    r"api_?key|(?:[_.\-]|\b)key)(?!s?_?file)[A-Za-z0-9_\-]*|\b(?:pin|puk)"
)
_PLACE = (
    r"(?:[A-Za-z0-9_.\-]*[_.\-]|\b)(?:station|province|regency|district|village|device|"
    r"hostname|latitude|longitude|lat|lon|lng|coordinates?|koordinat|lintang|bujur|cell|"
    r"tracking_area|alamat)"
)
_IDENTITY = r"(?:[A-Za-z0-9_.\-]*[_.\-]|\b)(?:imei|imsi|iccid|msisdn|own_numbers?)"
_VALUE = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\[[^\]\n]*\]|[^\s,;"'\]}]+)"""
# A latitude and a longitude of Indonesia, with three decimals (100 m) or more.
_LATITUDE, _LONGITUDE = r"-?(?:1[01]|\d)\.\d{3,}", r"(?:9[5-9]|1[0-3]\d|14[01])\.\d{3,}"
_BETWEEN = r"°?\s*[,;/ ]\s*"
_BASE64 = "[A-Za-z0-9+/_=-]"


def _of_key(name: str) -> re.Pattern[str]:
    """Return the pattern of a key with its separator, and of its value."""
    return re.compile(rf"(?i)(?<![A-Za-z0-9_])(\"?(?:{name})\"?\s*[=:]\s*)({_VALUE})")


def _mixed() -> re.Pattern[str]:
    """Return the pattern of a long word with small and large letters and digits."""
    c = _BASE64
    return re.compile(rf"(?<!{c})(?={c}*[a-z])(?={c}*[A-Z])(?={c}*\d){c}{{24,}}")


_SECRETS = _of_key(_HIDDEN)
_SIM = "identity of a SIM or modem"
_PATTERNS = (
    (
        "private key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[^\n]*|\Z)", re.S),
    ),
    ("user of a URL", re.compile(r"(?<=://)[^/?#\s\"'<>]+(?=@)")),
    (
        "token",
        re.compile(
            r"(?i)\b(?:token|bearer|basic)[ :]+(?=\S*\d|\S{16}|\S*:\S)[^\s\"',;<]{4,}"
        ),
    ),
    ("secret", _SECRETS),
    ("place", _of_key(_PLACE)),
    (_SIM, _of_key(_IDENTITY)),
    ("place", re.compile(rf"{_LATITUDE}{_BETWEEN}{_LONGITUDE}°?")),
    ("place", re.compile(rf"{_LONGITUDE}{_BETWEEN}{_LATITUDE}°?")),
    # The code of a polling station has 13 digits.
    ("place", re.compile(r"(?<![\d.])\d{13}(?![\d.])")),
    (_SIM, re.compile(r"(?<!_ns\": )(?<![\d.])(?:\d{15}|89\d{17,18})(?!\d)")),
    ("token", _mixed()),
    ("key", re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{32,}(?![0-9A-Fa-f])")),
)
# Values of a key that are not secret, or hidden already.
_HARMLESS = re.compile(r"(?i)^[\"']?(?:\*\*\*|null|none|true|false|hidden|<.*)?[\"']?$")


@dataclass(frozen=True, slots=True)
class Redactor:
    """Removes known values and patterns, and counts what it removed by its kind."""

    known: Mapping[str, str]
    removed: Counter[str] = field(default_factory=Counter)

    def clean(self, text: str) -> str:
        """Return the text without secrets and places."""
        for value, kind in self._forms():
            if count := text.count(value):
                self.removed[kind] += count
                text = text.replace(value, _mark(kind))
        for kind, pattern in _PATTERNS:
            text = pattern.sub(partial(self._hide, kind), text)
        return text

    def _forms(self) -> list[tuple[str, str]]:
        """Return the known values as programs write them, longer ones first."""
        forms = {
            form: kind
            for value, kind in self.known.items()
            for form in _forms_of(value)
        }
        return sorted(forms.items(), key=lambda item: (-len(item[0]), item[0]))

    def _hide(self, kind: str, match: re.Match[str]) -> str:
        """Return the replacement of a match; only the value behind a key changes."""
        head, value = match.groups() if match.re.groups else ("", match[0])
        if head and _HARMLESS.match(value):
            return match[0]
        self.removed[kind] += 1
        quotes = '"' if head.startswith('"') or value.startswith('"') else ""
        return f"{head}{quotes}{_mark(kind)}{quotes}"


def secrets_in(text: str) -> Iterator[str]:
    """Yield the values behind keys of secrets, such as those of a configuration."""
    for _, value in _SECRETS.findall(text):
        if not _HARMLESS.match(value):
            yield value.strip("\"'")


def _mark(kind: str) -> str:
    return f"<{kind}>"


def _forms_of(value: str) -> Iterator[str]:
    """Yield a value as it is, in URLs, in JSON, and as HTTP's basic credentials."""
    if len(value) < _MIN_CHARACTERS or value.lower() in _COMMON:
        return
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield base64.b64encode(value.encode()).decode()
