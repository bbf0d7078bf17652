"""The search for a station by its code or name."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import Display, Panel, Query

RESULTS = Panel(
    1,
    "table",
    ("Stations found", "TPS yang ditemukan"),
    (
        (
            "The first fifty stations of the register whose code or name contains the "
            "text above. Capital and small letters are the same."
        ),
        (
            "Lima puluh TPS pertama di register yang kode atau namanya memuat teks di "
            "atas. Huruf besar dan kecil dianggap sama."
        ),
    ),
    Display(24, 18, "none", age="1d"),
    (Query(q.search()),),
    columns=(
        c.STATION,
        *c.STATION_DETAILS,
    ),
)
FIND = Board("find", ("Find a station", "Cari TPS"), ("search",), (RESULTS,))
