"""The map of a report: areas if the template names borders, otherwise dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qos_agent.config.places import Regency, regencies
from qos_agent.report.borders import Borders
from qos_agent.report.drawing import WIDTH_IN, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# From the best to the worst class: dark to light, so that grey keeps the order.
COLORS = ("#08306B", "#3787C0", "#9CC9E1", "#F4B183", "#D55E00")
_HATCHES = ("", "", "", "//", "xx")
_MARKERS = ("o", "o", "o", "s", "D")
_NO_DATA = "#EEEEEE"
_MARGIN_DEG = 0.4
_HEIGHT_MAX_IN = 4.2


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the map: its label, and the regencies in it."""

    label: str
    codes: frozenset[str]


def draw(
    name: str,
    classes: Sequence[Class],
    no_data: str,
    borders: Borders | None,
    area: str | None,
) -> bytes:
    """Draw the regencies of an area, or of the nation, in the colours of classes.

    Without borders, only regencies with data are dots.
    """
    shown = {
        code: regency
        for code, regency in regencies().items()
        if area is None or area in (code, regency.province)
    }
    number = {code: n for n, one in enumerate(classes) for code in one.codes}
    box = _box(shown, borders)
    height = min(_HEIGHT_MAX_IN, WIDTH_IN * (box[3] - box[1]) / (box[2] - box[0]))
    with canvas(name, max(1.8, height) + 0.5) as (figure, svg):
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set_xlim(box[0], box[2])
        axes.set_ylim(box[1], box[3])
        if borders:
            _areas(axes, shown, number, borders)
        else:
            _dots(axes, shown, number)
        figure.legend(
            handles=[*_key(classes, no_data, has_areas=bool(borders))],
            loc="outside lower left",
            ncols=3,
            frameon=False,
            handlelength=1.2,
            handleheight=1.0,
        )
    return svg[0]


def _box(
    shown: Mapping[str, Regency], borders: Borders | None
) -> tuple[float, float, float, float]:
    """Return the limits of the map: west, south, east, north."""
    points = [
        point
        for code in shown
        for ring in (borders or {}).get(code, ())
        for point in ring
    ] or [(r.longitude, r.latitude) for r in shown.values()]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low_x, low_y, high_x, high_y = min(xs), min(ys), max(xs), max(ys)
    return (
        low_x - _MARGIN_DEG,
        low_y - _MARGIN_DEG,
        high_x + _MARGIN_DEG,
        high_y + _MARGIN_DEG,
    )


def _areas(
    axes: Axes,
    shown: Mapping[str, Regency],
    number: Mapping[str, int],
    borders: Borders,
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for code in shown:
        rings = [ring for ring in borders.get(code, ()) if len(ring) > 2]
        if not rings:
            continue
        path = Path.make_compound_path(*(Path(list(r), closed=True) for r in rings))
        n = number.get(code)
        axes.add_patch(
            PathPatch(
                path,
                facecolor=_NO_DATA if n is None else COLORS[n],
                hatch=None if n is None else _HATCHES[n] or None,
                edgecolor="#888888" if n is None else "white",
                linewidth=0.2,
            )
        )


def _dots(axes: Axes, shown: Mapping[str, Regency], number: Mapping[str, int]) -> None:
    for code, regency in shown.items():
        n = number.get(code)
        if n is None:
            axes.plot(
                regency.longitude,
                regency.latitude,
                ".",
                color="#CCCCCC",
                markersize=1.5,
            )
    for code, regency in shown.items():
        n = number.get(code)
        if n is not None:
            axes.plot(
                regency.longitude,
                regency.latitude,
                _MARKERS[n],
                color=COLORS[n],
                markeredgecolor="black",
                markeredgewidth=0.3,
                markersize=5,
            )


def _key(classes: Sequence[Class], no_data: str, *, has_areas: bool) -> list[Any]:
    """Return the key: only classes that the map has, and the areas without data."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    used = [(n, one) for n, one in enumerate(classes) if one.codes]
    if has_areas:
        shapes = [
            Patch(
                facecolor=COLORS[n],
                hatch=_HATCHES[n],
                edgecolor="white",
                label=f"{one.label}: {len(one.codes)}",
            )
            for n, one in used
        ]
        return [*shapes, Patch(facecolor=_NO_DATA, edgecolor="#888888", label=no_data)]
    dots = [
        Line2D(
            [],
            [],
            marker=_MARKERS[n],
            color=COLORS[n],
            linestyle="",
            label=f"{one.label}: {len(one.codes)}",
        )
        for n, one in used
    ]
    return [*dots, Line2D([], [], marker=".", color="#CCCCCC", ls="", label=no_data)]
