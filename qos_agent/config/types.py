"""Types of settings: names, durations, sizes and addresses, with their limits.

Every address is checked here, so that no setting can aim a test at the servers of the
election commission.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from qos_agent.config.faults import invalid, shown_text
from qos_agent.config.operators import operator_code
from qos_agent.model.addresses import (
    INTERFACE,
    host_in,
    host_problem,
    is_host,
    is_ipv6,
    needs_zone,
    plain,
    split_host_port,
)
from qos_agent.model.text import control_character, path_problem
from qos_agent.model.units import seconds, size_bytes

# DESIGN: no test is ever aimed at the servers of the election commission.
ELECTION_COMMISSION = ("kpu.go.id",)


# Names for what the device uses at the moment; see system.network.names.
_SYMBOLS = ("@gateway", "@resolver")
_FOLDER_MAX_BYTES = 400
_TEXT_MAX_CHARACTERS = 4000
_WRONG_HOST = "must have a valid host name and a port of at most 65535"


def allowed(form: str, pattern: str) -> AfterValidator:
    """Return a check that a text matches a pattern; `form` describes the pattern."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {form}")
        return value

    return AfterValidator(check)


def _usable_path(value: object) -> object:
    """Refuse a path that the system cannot open; a wrong type has its own error."""
    if isinstance(value, str) and (problem := path_problem(value)) is not None:
        raise ValueError(problem)
    return value


def _folder_of_a_database(value: Path) -> Path:
    # SQLite opens no path of more than 512 bytes (MAX_PATHNAME in its os_unix.c).
    if len(str(value).encode()) > _FOLDER_MAX_BYTES:
        raise ValueError(f"must be at most {_FOLDER_MAX_BYTES} bytes long")
    return value


def _plain(allowed_characters: str = "") -> AfterValidator:
    """Return a check that a text is not too long and has no control character."""

    def check(value: str) -> str:
        if (problem := control_character(value, allowed_characters)) is not None:
            raise ValueError(problem)
        if len(value) > _TEXT_MAX_CHARACTERS:
            raise ValueError(f"must be at most {_TEXT_MAX_CHARACTERS} characters long")
        return value

    return AfterValidator(check)


def _not_empty(value: tuple[object, ...]) -> tuple[object, ...]:
    if not value:
        raise ValueError("must have at least one entry")
    return value


def _not_the_commission(value: str) -> str:
    if is_election_commission(value):
        domains = ", ".join(ELECTION_COMMISSION)
        raise ValueError(f"must not be a server of the election commission ({domains})")
    return value


def _without_password(value: str) -> str:
    """Refuse a password in a URL, before the form of the URL is checked."""
    if re.match(r"\w+://[^/?#]*:[^/?#]*@", value):
        raise invalid(
            "must not contain a user name and a password",
            found=shown_text(value),
            fix="remove them; the collector's token belongs in token_file",
        )
    return value


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _host_of(value: str) -> str:
    """Return the host of a URL, of a host with a port, or of a host; "" if unclear."""
    if _is_address(value):
        return value
    try:
        return host_in(value if "://" in value else f"//{value}")
    except ValueError:  # other checks report it
        return ""


def _one_host(value: str) -> str:
    """Refuse an address that can never be that of one host, such as a multicast one."""
    host = _host_of(value)
    if _is_address(host) and (problem := host_problem(host)) is not None:
        raise ValueError(problem)
    return value


def _with_zone(value: str) -> str:
    """Refuse a link-local address for which the system would not know the interface."""
    if needs_zone(_host_of(value)):
        raise ValueError("must have the interface as a zone, such as [fe80::1%25eth0]")
    return value


def _complete_name(value: str) -> str:
    """Refuse a host name that would need a search domain to be complete.

    Each link may have other search domains. One could also turn a name into a server
    that must not be measured, which no check of the settings would see.
    """
    if value.startswith("@") or _is_address(value):
        return value
    host = _host_of(value)
    if not host or any(sign in host for sign in ".:") or host == "localhost":
        return value
    raise ValueError(
        "must be a complete host name or an address, because search domains are not "
        "used (a dot at its end marks a complete name without other dots)"
    )


def _well_formed(value: str) -> str:
    """Refuse a port or host name that would only fail when it is used."""
    try:
        parts = urlsplit(value)
        host = host_in(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError(_WRONG_HOST) from error
    if not is_host(host) or ("[" in parts.netloc and not is_ipv6(host)):
        raise ValueError(_WRONG_HOST)
    return value


def _plain_host(value: str) -> str:
    """Return a host without brackets; refuse a port, which has a key of its own."""
    if value in _SYMBOLS or is_host(value):
        return value
    host, port = split_host_port(value)
    if port is not None:
        raise ValueError("must be a host without a port")
    return host


def _address(value: str) -> str:
    """Return an address in its usual form, as the system lists those of interfaces."""
    if not _is_address(value):
        raise ValueError("must be an IPv4 or IPv6 address")
    return plain(value)


def _host_and_port(value: str) -> str:
    split_host_port(value)
    return value


def _lower_scheme(url: str) -> str:
    """Return a URL with its scheme in lower case (RFC 3986, 3.1)."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def is_election_commission(value: str) -> bool:
    """Return True if a URL or host name is the commission's, in any spelling."""
    # Resolvers fold width, case and the ideographic full stop (RFC 3490, 3.1).
    plain = unicodedata.normalize("NFKC", value).replace("\u3002", ".").casefold()
    url = plain if "://" in plain else f"//{plain}"
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:  # not a URL: other checks refuse it, so any mention is enough
        return any(domain in plain for domain in ELECTION_COMMISSION)
    return any(
        host == domain or host.endswith(f".{domain}") for domain in ELECTION_COMMISSION
    )


def interval(value: object) -> float:
    """Return a duration in seconds; "off" is 0.0."""
    return 0.0 if value in ("off", 0) else seconds(value)


_A_NAME = allowed(
    "1 to 64 letters, digits, hyphens or underscores", r"[A-Za-z0-9_-]{1,64}"
)
Name = Annotated[str, _A_NAME]
Version = Annotated[
    str, allowed("a version such as 0.3.0", r"[0-9][A-Za-z0-9.+~-]{0,63}")
]
# One code for all spellings, such as "telkomsel" for "Telkomsel".
Operator = Annotated[str, AfterValidator(operator_code), _A_NAME]
Interface = Annotated[str, allowed("the name of a network interface", INTERFACE)]
Text = Annotated[str, _plain()]
TextOfLines = Annotated[str, _plain("\t\r\n")]
FilePath = Annotated[Path, BeforeValidator(_usable_path)]
Folder = Annotated[FilePath, AfterValidator(_folder_of_a_database)]
# A path, or a name that is looked up first.
FileName = Annotated[str, AfterValidator(_usable_path)]
Address = Annotated[Text, AfterValidator(_address), AfterValidator(_one_host)]
# Unlike min_length, it adds no error of its own if an entry is wrong.
NOT_EMPTY = AfterValidator(_not_empty)
ProvinceCode = Annotated[str, allowed("2 digits in quotes", r"[0-9]{2}")]
RegencyCode = Annotated[str, allowed("4 digits in quotes", r"[0-9]{4}")]
Duration = Annotated[float, BeforeValidator(seconds)]
Interval = Annotated[float, BeforeValidator(interval)]
Size = Annotated[int, BeforeValidator(size_bytes)]
Host = Annotated[
    Text,
    AfterValidator(_not_the_commission),
    AfterValidator(_plain_host),
    AfterValidator(_one_host),
    AfterValidator(_complete_name),
]
_AnyUrl = Annotated[
    Text,
    AfterValidator(_without_password),
    AfterValidator(_lower_scheme),
    allowed(
        "http:// or https:// followed by a host, with brackets around IPv6",
        r"https?://([^/\s:\[\]]+|([^/\s:\[\]@]+@)?\[[^/\s\[\]]+\])(:\d+)?([/?#]\S*)?",
    ),
    AfterValidator(_well_formed),
    AfterValidator(_one_host),
    AfterValidator(_not_the_commission),
]
# The system connects to collectors, with its search domains. The agent itself resolves
# the names that it measures, and binds to the interface of a link.
Url = Annotated[_AnyUrl, AfterValidator(_with_zone)]
ProbeUrl = Annotated[_AnyUrl, AfterValidator(_complete_name)]
HostPort = Annotated[
    Text,
    AfterValidator(_not_the_commission),
    AfterValidator(_host_and_port),
    AfterValidator(_one_host),
    AfterValidator(_complete_name),
]


class Section(BaseModel):
    """A table of the configuration: frozen, and unknown keys are errors.

    pydantic's own errors, which are part of a traceback, do not contain the values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
