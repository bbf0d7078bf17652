"""Columns that several boards show alike."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards.board import TO_AGENTS, TO_OPERATORS, TO_REGION, TO_STATION
from grafana.panels import Column, Query, Words

LEVEL = Column("class_level", ("State", "Keadaan"), shown="level", width=110)
PROVINCE = Column("province", ("Province", "Provinsi"), link=TO_AGENTS, width=80)
REGENCY = Column(
    "regency", ("Regency", "Kabupaten/Kota"), shown="regency", link=TO_REGION
)
REGENCY_CODE = Column("regency", ("Regency", "Kab./Kota"), link=TO_REGION, width=80)
OPERATOR = Column("operator", ("Operator", "Operator"), link=TO_OPERATORS, width=110)
STATION = Column("station", ("Station", "TPS"), link=TO_STATION, width=140)
SINCE = Column("since_s", ("For", "Selama"), "dtdurations", width=120)
AGE = Column("age_s", ("Last heard ago", "Terakhir terdengar"), "dtdurations")
WHY = Column("kpi", ("Why", "Sebab"), width=110)
SIDE = Column("side", ("Side", "Sisi"), width=100)
TICKET = Column("ticket", ("Ticket to", "Tiket ke"))
CONTACT = Column("contact", ("On site", "Di lokasi"))
NAME = Column("name", ("Name", "Nama"))
LATITUDE = Column("latitude", ("Latitude", "Lintang"))
LONGITUDE = Column("longitude", ("Longitude", "Bujur"))


def ratio(
    figure: q.Ratio,
    place: tuple[str, str],
    group: str,
    alias: Words,
    more: tuple[Query, ...] = (),
) -> tuple[Query, ...]:
    """A ratio's query and its sample count's, which the tooltip shows.

    `place` is a measurement and a clause on it.
    """
    count = (f"n {alias[0]}", f"n {alias[1]}")
    return (
        Query(q.ratio_over_time(figure, *place, group), alias),
        *more,
        Query(q.over_time(figure.bottom, *place, group), count, "n"),
    )


def same(text: str) -> Words:
    """A name that is the same in both languages."""
    return (text, text)
