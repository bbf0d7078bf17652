"""How much a link may move, in which month, and what of it is kept for the vote. Pure.

Bytes are on the wire, both ways, as the operator bills them. Who counts them is the
budget; what a schedule would need is the forecast.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a link may move; None is without limit.

    The month begins on `reset_day`, or on the last day of a shorter month.
    `reserve_bytes` of the month is for voting hours alone.
    """

    month_bytes: int | None = None
    day_bytes: int | None = None
    reset_day: int = 1
    roaming: bool = False
    reserve_bytes: int = 0

    def period(self, day: date) -> tuple[date, date]:
        """The month that holds `day`: its first day, and the first of the next."""
        this = _reset(day.year, day.month, self.reset_day)
        if day < this:
            before = day.replace(day=1) - timedelta(days=1)
            return _reset(before.year, before.month, self.reset_day), this
        after = day.replace(day=1) + timedelta(days=31)
        return this, _reset(after.year, after.month, self.reset_day)


def _reset(year: int, month: int, reset_day: int) -> date:
    return date(year, month, min(reset_day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a link's allowance; None is without limit.

    The held parts are for voting hours: of the month always, of the day while votes
    are still to be cast in it.
    """

    month_bytes: int | None
    day_bytes: int | None
    month_held_bytes: int = 0
    day_held_bytes: int = 0
    month_whole_bytes: int | None = None
    resets_on: date | None = None

    def refusal(self, size_bytes: int, voting: bool) -> str | None:
        """Why so many bytes may not be moved now; None where they may."""
        for left, held in (
            (self.month_bytes, self.month_held_bytes),
            (self.day_bytes, self.day_held_bytes),
        ):
            if left is not None and size_bytes > left:
                return "allowance"
            if left is not None and not voting and size_bytes > left - held:
                return "reserve"
        return None


def left(
    allowance: Allowance, day: date, spent: tuple[int, int], votes_to_come: bool
) -> Left:
    """What is left on a day, with what its month and the day itself have spent."""
    month, today = spent
    return Left(
        _minus(allowance.month_bytes, month),
        _minus(allowance.day_bytes, today),
        allowance.reserve_bytes,
        allowance.reserve_bytes if votes_to_come else 0,
        allowance.month_bytes,
        allowance.period(day)[1],
    )


def _minus(whole: int | None, spent: int) -> int | None:
    return None if whole is None else max(0, whole - spent)
