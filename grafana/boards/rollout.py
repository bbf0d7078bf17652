"""The roll-out before the election: which provinces have stations that report."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards.board import TO_AGENTS, Board
from grafana.panels import Column, Display, Panel, Query

_STEPS = ("provisioned", "enrolled", "accepted")
_FIELDS = ("expected", "heard", "reporting", *_STEPS)
_SUMS = q.derived(
    {name: f'"{name}"' for name in _FIELDS}
    | {
        "never": '"expected" - "heard"',
        "share": '100.0 * "heard" / "expected"',
    },
    # The steps are written once an hour and the others each minute.
    q.newest_of_each(_FIELDS, "rollout", "\"province\" <> ''", '"province"'),
    '"expected" > 0',
    '"province"',
)
PROVINCES = Panel(
    1,
    "table",
    ("Roll-out by province", "Pemasangan per provinsi"),
    (
        (
            "Stations of the register: with an enrolment code, with an enrolled "
            "device, accepted by a technician, heard at least once, never heard, "
            "reporting. A centre that does not provision devices has no codes here. "
            "Sort by a column to find the province with most stations to visit."
        ),
        (
            "TPS di register: punya kode pendaftaran, perangkatnya sudah terdaftar, "
            "sudah diterima teknisi, pernah melapor, belum pernah melapor, sedang "
            "melapor. Tanpa provisioning di pusat, kolom kode kosong. Klik judul kolom "
            "untuk mengurutkan."
        ),
    ),
    Display(24, 14, "none", age="2h"),
    (Query(_SUMS),),
    columns=(
        Column("province", ("Province", "Provinsi"), shown="place", link=TO_AGENTS),
        Column("expected", ("Stations", "TPS"), width=95),
        Column("provisioned", ("Code", "Punya kode"), width=105),
        Column("enrolled", ("Enrolled", "Terdaftar"), width=105),
        Column("accepted", ("Accepted", "Diterima"), width=105),
        Column("heard", ("Ever heard", "Pernah melapor"), width=130),
        Column("never", ("Never heard", "Belum pernah"), width=130),
        Column("share", ("Share", "Persentase"), "percent", width=110),
        Column("reporting", ("Reporting now", "Sedang melapor"), width=140),
    ),
    sort="expected",
)
_NATION = (
    ("expected", ("stations", "TPS")),
    ("provisioned", ("with a code", "punya kode")),
    ("enrolled", ("enrolled", "terdaftar")),
    ("accepted", ("accepted", "diterima")),
    ("heard", ("ever heard", "pernah melapor")),
    ("reporting", ("reporting", "sedang melapor")),
)
NATION = Panel(
    2,
    "timeseries",
    ("Roll-out by day", "Pemasangan per hari"),
    (
        "The same counts over time. The gap below the first line is still to do.",
        "Jumlah yang sama dari waktu ke waktu. Selisih dari garis pertama belum siap.",
    ),
    Display(24, 10, "short"),
    tuple(
        Query(q.summed_over_time(field, "rollout", '"province"'), text)
        for field, text in _NATION
    ),
)
ROLLOUT = Board(
    "rollout", ("Roll-out", "Pemasangan"), (), (PROVINCES, NATION), start="now-14d"
)
