"""LTE bands of downlink channels: 3GPP TS 36.101, table 5.7.3-1.

NR bands overlap (TS 38.101-1), so an NR channel does not determine its band. A reading
then contains the channel instead.
"""

from __future__ import annotations

from bisect import bisect_right

# First downlink channel of each band; band 0 marks channels without a band.
_FIRST_CHANNELS = (
    (0, 1),
    (600, 2),
    (1200, 3),
    (1950, 4),
    (2400, 5),
    (2650, 6),
    (2750, 7),
    (3450, 8),
    (3800, 9),
    (4150, 10),
    (4750, 11),
    (4950, 0),
    (5010, 12),
    (5180, 13),
    (5280, 14),
    (5380, 0),
    (5730, 17),
    (5850, 18),
    (6000, 19),
    (6150, 20),
    (6450, 21),
    (6600, 22),
    (7400, 0),
    (7500, 23),
    (7700, 24),
    (8040, 25),
    (8690, 26),
    (9040, 27),
    (9210, 28),
    (9660, 29),
    (9770, 30),
    (9870, 31),
    (9920, 32),
    (10360, 0),
    (36000, 33),
    (36200, 34),
    (36350, 35),
    (36950, 36),
    (37550, 37),
    (37750, 38),
    (38250, 39),
    (38650, 40),
    (39650, 41),
    (41590, 42),
    (43590, 43),
    (45590, 44),
    (46590, 45),
    (46790, 46),
    (54540, 47),
    (55240, 48),
    (56740, 0),
)


def lte_band(channel: int) -> str | None:
    """Return the band of an EARFCN, such as "B3"; None if it is in no band."""
    if channel < 0:
        return None
    position = bisect_right(_FIRST_CHANNELS, (channel, 99)) - 1
    _, band = _FIRST_CHANNELS[position]
    return f"B{band}" if band else None
