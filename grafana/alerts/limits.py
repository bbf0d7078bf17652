"""From when on an alert fires: one literal table, with the reason for each value.

None of these values is statutory: they are this project's engineering practice. A link
is judged on the device by the thresholds of `verdict.thresholds`; what stands here says
how many such links, or how bad a sum over many, is worth waking somebody.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """One rule's numbers.

    It fires above `limit`, where `least` stations, links or samples are behind the
    figure, after `wait_min` minutes of it; `within_min` is the time from the beginning
    of the trouble to the alert, which the tests hold it to.
    """

    alert: str
    severity: str
    limit: float
    least: float
    wait_min: int
    within_min: int
    why: str


# fmt: off
LIMITS = (
    Limit("silent", "warning", 20, 5, 5, 12,
          "one device of five that is being restarted is not an outage; "
          "silent itself means five minutes without a heartbeat"),
    Limit("silent", "critical", 40, 5, 2, 9,
          "two stations of five, or whole villages; never heard counts too, for on "
          "voting day a device that was never switched on is nobody's plan"),
    Limit("bad-share", "warning", 25, 5, 12, 16,
          "one link of five is an incident of that station, two are the operator's; "
          "longer than the ten minutes in which one bad minute is remembered"),
    Limit("bad-share", "critical", 50, 5, 7, 11,
          "every second link: the operator's ticket must be open within a quarter of "
          "an hour; longer than the five minutes that one bad minute is remembered"),
    Limit("degraded-share", "warning", 50, 5, 12, 16,
          "a degraded link still carries a form; when half of them are, a cell or a "
          "backbone is full"),
    Limit("degraded-share", "critical", 80, 5, 7, 11,
          "nearly all: the next step is bad, and forms are late already"),
    Limit("loss", "warning", 5, 20, 5, 14,
          "a single dead link of twenty makes 5 %; above it, it is not a single one"),
    Limit("loss", "critical", 15, 20, 3, 12,
          "TCP gets no rate worth the name across 15 % loss"),
    Limit("rtt", "warning", 2, 20, 5, 14,
          "twice the place's own mean before the election, and 50 ms more: as in "
          "verdict.thresholds"),
    Limit("rtt", "critical", 3, 20, 3, 12,
          "three times as long over many links is a detour or a full queue"),
    Limit("throughput", "warning", 50, 20, 10, 60,
          "share of downloads under 2 Mbit/s, the verdict's limit; links that are slow "
          "on any day are one in six, half is not chance; tests are hourly"),
    Limit("throughput", "critical", 75, 20, 5, 60,
          "three of four tests: the network of the place is full"),
    Limit("upload", "warning", 25, 12, 10, 20,
          "share of form bundles that took over a minute; a quarter in it means a "
          "queue of officers holding up a telephone"),
    Limit("upload", "critical", 50, 12, 5, 15,
          "every second form takes over a minute"),
    Limit("outage-place", "warning", 1, 5, 3, 11,
          "more than one operator down in a regency: silent means five minutes, "
          "three more and it is not a restart"),
    Limit("outage-place", "critical", 1, 5, 1, 9,
          "the same while votes are cast: somebody must be sent"),
    Limit("outage-operator", "warning", 1, 5, 3, 11,
          "one operator down in more than one regency of a province while another "
          "works: its network, not the stations' power"),
    Limit("outage-operator", "critical", 1, 5, 1, 9,
          "the same while votes are cast: the operator's own NOC must know now"),
    Limit("backlog", "warning", 500, 10, 10, 20,
          "points an agent has waiting: half an hour of everything it measures"),
    Limit("backlog", "critical", 2000, 10, 10, 20,
          "two hours of it: what the boards show is no longer now"),
    Limit("unsent", "warning", 10, 10, 10, 20,
          "share of agents whose oldest point has waited over an hour"),
    Limit("unsent", "critical", 30, 10, 10, 20,
          "a third of a regency: its collector or way there fails, not the devices"),
    Limit("late", "warning", 50, 100, 20, 42,
          "share of points acknowledged over two minutes old; an agent that catches up "
          "is done in minutes, so what lasts is a way that is too narrow"),
    Limit("late", "critical", 80, 100, 20, 42,
          "nearly everything arrives late: silence is near"),
    Limit("clock", "warning", 10, 10, 15, 25,
          "share of agents whose clock is not trusted, or wrong by over a second; "
          "a device that has just booted mends it in minutes"),
    Limit("clock", "critical", 30, 10, 10, 20,
          "a third: the time servers cannot be reached from there"),
    Limit("allowance", "warning", 10, 10, 15, 25,
          "share of agents with under 10 % of the month's data left on a link"),
    Limit("allowance", "critical", 30, 10, 10, 20,
          "a third of a regency will fall silent together"),
    Limit("pipeline-dead", "critical", 0, 0, 2, 5,
          "the census writes each minute; two minutes without are two too many"),
    Limit("pipeline-failed", "critical", 0.5, 0, 1, 5,
          "more than half of the last five minutes failed: a collector that refuses, "
          "not a hiccup"),
    Limit("pipeline-behind", "warning", 300, 0, 5, 10,
          "the newest sums are five minutes older than they should be: alerts on sums "
          "see the past"),
    Limit("census-missing", "critical", 0, 0, 1, 8,
          "a province that was counted within six hours and is not any more"),
    Limit("heartbeat", "none", 0, 0, 0, 1,
          "always: whoever listens acts when it stops"),
)
# fmt: on
