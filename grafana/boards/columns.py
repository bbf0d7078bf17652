"""Columns and queries that several dashboards share."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards.board import TO_OPERATORS, TO_PROVINCE, TO_REGION, TO_STATION
from grafana.panels import Column, Query, Text

LEVEL = Column("class_level", ("Status", "Status"), shown="level", width=130)
PROVINCE = Column("province", ("Province", "Provinsi"), shown="place", link=TO_PROVINCE)
REGENCY = Column(
    "regency", ("Regency", "Kabupaten/kota"), shown="regency", link=TO_REGION
)
REGENCY_CODE = Column("regency", ("Regency", "Kab./kota"), link=TO_REGION, width=80)
OPERATOR = Column("operator", ("Operator", "Operator"), link=TO_OPERATORS, width=110)
STATION = Column("station", ("Station", "TPS"), link=TO_STATION, width=140)
SINCE = Column("since_local", ("Since", "Sejak"), width=110)
AGE = Column("age_s", ("Last report", "Laporan terakhir"), "dtdurations")
PROBLEM = Column("kpi", ("Main problem", "Masalah utama"), shown="code", width=140)
SIDE = Column("side", ("Whose side", "Sisi gangguan"), shown="side", width=130)
TICKET = Column("ticket", ("Ticket address", "Alamat tiket"))
CONTACT = Column("contact", ("Contact", "Kontak"))
OPERATORS_OF = Column("operator", ("Operators", "Operator"), width=150)
NAME = Column("name", ("Name", "Nama"))
# What the centre knows of a station, in tables of one or more stations.
STATION_DETAILS = (NAME, REGENCY, PROVINCE, OPERATORS_OF, CONTACT, TICKET)
LATITUDE = Column("latitude", ("Latitude", "Lintang"))
LONGITUDE = Column("longitude", ("Longitude", "Bujur"))
MAINTENANCE = Column("maintenance", ("Maintenance", "Pemeliharaan"), "bool_yes_no")


def ratio(
    figure: q.Ratio,
    place: tuple[str, str],
    group: str,
    alias: Text,
    more: tuple[Query, ...] = (),
) -> tuple[Query, ...]:
    """Return the query of a ratio and that of its sample count for the tooltip.

    `place` is a measurement and a condition on it.
    """
    count = (f"samples: {alias[0]}", f"sampel: {alias[1]}")
    return (
        Query(q.ratio_over_time(figure, *place, group), alias),
        *more,
        Query(q.over_time(figure.bottom, *place, group), count, "n"),
    )


def same(text: str) -> Text:
    """Return a text that is the same in both languages."""
    return (text, text)
