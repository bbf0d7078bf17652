"""Pictures with matplotlib as SVG: equal input gives equal bytes.

Only the font that matplotlib contains is used, because another computer has others. The
colours are those of Okabe and Ito, which colour-blind people can tell apart. Lines also
differ by dash and marker, so a print in grey can be read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qos_agent.model.errors import OperatorError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILY = "QoS Report"
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#222222", "#777777"
LIGHT = "#DDDDDD"
# Colour, dash, marker of the first, the second, ... line, and its sign in a label.
STYLES = (
    (BLUE, "-", "o", "●"),
    (RED, "--", "s", "■"),
    (GREEN, "-.", "^", "▲"),
    (PURPLE, ":", "D", "◆"),
    (ORANGE, (0, (5, 1)), "v", "▼"),
    (BLACK, (0, (1, 1)), "P", "✚"),
)
WIDTH_IN = 6.7
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "path",
    "font.family": FAMILY,
    "font.size": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "grid.color": LIGHT,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
}


def need_matplotlib() -> None:
    """Raise OperatorError if matplotlib or its font is missing."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise OperatorError(
            "matplotlib: this package is missing. Fix: pip install 'qos-agent[report]'."
        ) from None
    folder = font_folder()
    if not (folder / "DejaVuSans.ttf").is_file():
        raise OperatorError(
            f"{folder}/DejaVuSans.ttf: the font of the charts is missing (matplotlib"
            f" {mpl.__version__}). Fix: pip install --force-reinstall matplotlib."
        )


def font_folder() -> Path:
    """Return the folder of the fonts that matplotlib contains."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


@cache
def _add_fonts() -> None:
    """Add the fonts of matplotlib under a name that no other font has."""
    from matplotlib import font_manager

    faces = (("DejaVuSans.ttf", 400), ("DejaVuSans-Bold.ttf", 700))
    for name, weight in faces:
        entry = font_manager.FontEntry(
            fname=str(font_folder() / name),
            name=FAMILY,
            style="normal",
            variant="normal",
            weight=weight,
            stretch="normal",
            size="scalable",
        )
        font_manager.fontManager.ttflist.append(entry)


@contextmanager
def canvas(name: str, height_in: float) -> Iterator[tuple[Figure, list[bytes]]]:
    """Give a figure to draw on, and a list that has the SVG afterwards."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    _add_fonts()
    written: list[bytes] = []
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        yield figure, written
        stream = io.BytesIO()
        figure.savefig(
            stream,
            format="svg",
            metadata={"Date": None, "Creator": None, "Title": name},
        )
        written.append(stream.getvalue())


def plain_axes(axes: Axes) -> None:
    """Leave only a grid of thin lines for the values."""
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
