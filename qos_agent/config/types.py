"""What settings are made of: names, durations, sizes, addresses, and their limits.

Every address is checked here, so that no setting, of today or later, can aim at the
election commission's servers.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from qos_agent.model.units import seconds, size_bytes

# DESIGN: no test is ever aimed at the servers of the election commission.
ELECTION_COMMISSION = ("kpu.go.id",)


def allowed(form: str, pattern: str) -> AfterValidator:
    """A check that a value is of a `form`, by its pattern."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(form)
        return value

    return AfterValidator(check)


def _not_the_commission(value: str) -> str:
    """Refuse the election commission's servers: nothing of ours may load them."""
    if is_election_commission(value):
        raise ValueError("a server of one's own, never the election commission's")
    return value


def _well_formed(value: str) -> str:
    """Refuse what would only fail once it is used: a port or a name out of bounds."""
    try:
        parts = urlsplit(value)
        (parts.hostname or "").encode("idna")
        _ = parts.port
    except ValueError as error:
        raise ValueError("http:// or https://, a host name, a port to 65535") from error
    return value


def is_election_commission(value: str) -> bool:
    """Whether a URL or host name is the commission's, however it is written."""
    # Resolvers fold width, case and the ideographic full stop (RFC 3490, 3.1).
    plain = unicodedata.normalize("NFKC", value).replace("\u3002", ".").casefold()
    url = plain if "://" in plain else f"//{plain}"
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:  # no URL; other checks say so, and nothing can slip through
        return any(own in plain for own in ELECTION_COMMISSION)
    return any(host == own or host.endswith(f".{own}") for own in ELECTION_COMMISSION)


def interval(value: object) -> float:
    """A duration, or "off" as 0.0."""
    return 0.0 if value in ("off", 0) else seconds(value)


Name = Annotated[str, allowed("letters, digits, - and _", r"[A-Za-z0-9_-]{1,64}")]
Duration = Annotated[float, BeforeValidator(seconds)]
Interval = Annotated[float, BeforeValidator(interval)]
Size = Annotated[int, BeforeValidator(size_bytes)]
Host = Annotated[str, AfterValidator(_not_the_commission)]
Url = Annotated[
    str,
    allowed("http:// or https:// and a host", r"https?://[^/\s:]+(:\d+)?(/\S*)?"),
    AfterValidator(_well_formed),
    AfterValidator(_not_the_commission),
]
HostPort = Annotated[Host, allowed("a host, or host:port", r"[^/\s:]+(:\d+)?")]


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
