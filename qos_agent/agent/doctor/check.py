"""The result of a check, in English and ready for translation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Health(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its result, and the command that fixes the problem.

    `text` and `advice` are English. Their placeholders are filled in with `values`, so
    that both can be translated. `cause` is the name of a check that fails too and whose
    problem explains this one.
    """

    name: str
    health: Health
    text: str
    advice: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    cause: str | None = None

    @property
    def result(self) -> str:
        """The result in English."""
        return self.text.format(**self.values) if self.values else self.text

    @property
    def fix(self) -> str:
        """The fix in English."""
        return self.advice.format(**self.values) if self.values else self.advice


@dataclass(frozen=True, slots=True)
class Row:
    """A check to run. The checks named in `needs` explain its failure if they fail."""

    name: str
    run: Callable[[], Check]
    needs: tuple[str, ...] = ()


def ok(name: str, text: str, /, **values: object) -> Check:
    """Return a check without a problem."""
    return Check(name, Health.OK, text, values=values)


def warn(name: str, text: str, advice: str, /, **values: object) -> Check:
    """Return a check with a problem that does not stop the measurements."""
    return Check(name, Health.WARN, text, advice, values)


def bad(name: str, text: str, advice: str, /, **values: object) -> Check:
    """Return a check whose problem stops measurements or deliveries."""
    return Check(name, Health.BAD, text, advice, values)
