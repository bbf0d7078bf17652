"""The steps that order, merge, count, calculate and hide the columns of a panel."""

from __future__ import annotations

from grafana.panel import Panel
from grafana.styles import Json


def transformations(panel: Panel) -> list[Json]:
    """Return the steps that order, merge, count and hide columns.

    InfluxDB returns columns in any order. The time of a sum has no meaning, so it is
    hidden.
    """
    steps: list[Json] = []
    if panel.merge:
        # Rows are merged if all common columns are equal. Their times differ.
        no_time = {"exclude": {"names": ["Time"]}}
        steps.append({"id": "filterFieldsByName", "options": no_time})
        steps.append({"id": "merge", "options": {}})
    if panel.computed:
        steps += [_complete_rows(panel), *map(_calculation, panel.computed)]
    if panel.counted:
        steps.append({"id": "groupBy", "options": {"fields": _grouping(panel)}})
    if panel.kind == "geomap":
        # Markers are drawn in this order, so the worst one is on top.
        worst_last = {"field": "class_level", "desc": False}
        steps.append({"id": "sortBy", "options": {"fields": {}, "sort": [worst_last]}})
    if panel.kind == "table":
        hidden = {c.name: True for c in panel.columns if c.shown == "hidden"}
        if all(column.name != "Time" for column in panel.columns):
            hidden["Time"] = True
        order = {c.name: index for index, c in enumerate(panel.columns)}
        steps.append(
            {
                "id": "organize",
                "options": {
                    "excludeByName": hidden,
                    "indexByName": order,
                    "renameByName": {},
                },
            }
        )
    return steps


def _complete_rows(panel: Panel) -> Json:
    """Leave out rows without a computed figure: a missing value would count as 0."""
    computed = {name for name, *_ in panel.computed}
    needed = {x for _, left, _, right in panel.computed for x in (left, right)}
    filters = [
        {"fieldName": name, "config": {"id": "isNull", "options": {}}}
        for name in sorted(needed - computed)
    ]
    return {
        "id": "filterByValue",
        "options": {"filters": filters, "type": "exclude", "match": "any"},
    }


def _calculation(computed: tuple[str, str, str, str]) -> Json:
    name, left, operator, right = computed
    binary = {"left": left, "operator": operator, "right": right, "reducer": "sum"}
    options = {"alias": name, "mode": "binary", "binary": binary}
    return {"id": "calculateField", "options": options}


def _grouping(panel: Panel) -> Json:
    by: Json = {
        name: {"aggregations": [], "operation": "groupby"} for name in panel.counted
    }
    return by | {"station": {"aggregations": ["count"], "operation": "aggregate"}}
