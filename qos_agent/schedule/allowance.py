"""The data allowance of a link: limits, billing months and the voting reserve. Pure.

Bytes are counted on the wire in both directions, as the operator bills them.
`allowance_account` counts them, and `allowance_forecast` estimates future use.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limits of a link. None means unlimited.

    The month begins on `reset_day`, or on the last day of a shorter month. Only tasks
    in voting hours may use `reserve_bytes` of the month.
    """

    month_bytes: int | None = None
    day_bytes: int | None = None
    reset_day: int = 1
    roaming: bool = False
    reserve_bytes: int = 0

    def period(self, day: date) -> tuple[date, date]:
        """Return the first day of the month that contains `day`, and of the next."""
        reset = _reset(day.year, day.month, self.reset_day)
        if day < reset:
            previous = day.replace(day=1) - timedelta(days=1)
            return _reset(previous.year, previous.month, self.reset_day), reset
        following = day.replace(day=1) + timedelta(days=31)
        return reset, _reset(following.year, following.month, self.reset_day)


def _reset(year: int, month: int, reset_day: int) -> date:
    return date(year, month, min(reset_day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Remaining:
    """The unused part of a link's allowance. None means unlimited.

    The reserves are for voting hours: the month's always, the day's only until the
    last vote of that day.
    """

    month_bytes: int | None
    day_bytes: int | None
    month_reserve_bytes: int = 0
    day_reserve_bytes: int = 0
    month_limit_bytes: int | None = None

    def refusal_reason(self, size_bytes: int, voting: bool) -> str | None:
        """Return the reason for which `size_bytes` must not be moved now, or None."""
        for remaining_bytes, reserve_bytes in (
            (self.month_bytes, self.month_reserve_bytes),
            (self.day_bytes, self.day_reserve_bytes),
        ):
            if remaining_bytes is None:
                continue
            if size_bytes > remaining_bytes:
                return "allowance"
            if not voting and size_bytes > remaining_bytes - reserve_bytes:
                return "reserve"
        return None

    def month_share(self) -> float | None:
        """Return the unused share of the month, or None without a limit."""
        if self.month_bytes is None or not self.month_limit_bytes:
            return None
        return self.month_bytes / self.month_limit_bytes


def remaining(
    allowance: Allowance, month_spent_bytes: int, day_spent_bytes: int, votes_left: bool
) -> Remaining:
    """Return the unused allowance of a day.

    `votes_left` is True while voting hours of that day are still to come.
    """
    return Remaining(
        month_bytes=_difference(allowance.month_bytes, month_spent_bytes),
        day_bytes=_difference(allowance.day_bytes, day_spent_bytes),
        month_reserve_bytes=allowance.reserve_bytes,
        day_reserve_bytes=allowance.reserve_bytes if votes_left else 0,
        month_limit_bytes=allowance.month_bytes,
    )


def _difference(limit_bytes: int | None, spent_bytes: int) -> int | None:
    return None if limit_bytes is None else max(0, limit_bytes - spent_bytes)
