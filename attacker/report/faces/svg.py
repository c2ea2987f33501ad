"""From a matplotlib figure to SVG that stands inline in an HTML page and takes the page's colours and font."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from attacker.report.notation import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Colour", "drawing_style", "new_figure", "render_svg"]


class Colour(StrEnum):
    """What to draw with: stand-ins, for which the page's own colours are put in."""

    INK = "#00ff01"
    GRID = "#00ff02"
    P50 = "#00ff03"
    P99 = "#00ff04"
    MAX = "#00ff05"
    RAW = "#00ff06"
    ERROR = "#00ff07"


_SHOWN: Mapping[str, str] = {
    Colour.INK: "var(--plot-ink, #475467)",
    Colour.GRID: "var(--plot-grid, #e4e7ec)",
    Colour.P50: "var(--plot-p50, #12876f)",
    Colour.P99: "var(--plot-p99, #2457d6)",
    Colour.MAX: "var(--plot-max, #98a2b3)",
    Colour.RAW: "var(--plot-raw, #c2560c)",
    Colour.ERROR: "var(--plot-error, #c8321f)",
}
"""Colours by stand-in: the page's, light or dark, or those given here where no page has any."""

_SIZE_INCHES = (5.7, 3.2)
_STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 11.5,
    "text.color": Colour.INK.value,
    "axes.edgecolor": Colour.GRID.value,
    "xtick.color": Colour.INK.value,
    "ytick.color": Colour.INK.value,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": Colour.GRID.value,
    "lines.solid_joinstyle": "round",
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
}


@contextmanager
def drawing_style(salt: str) -> Iterator[None]:
    """Set how figures look while they are drawn and rendered.

    Args:
        salt: what the ids in the SVG are made of; another one for each plot of a page, or they clash.
    """
    import matplotlib as mpl  # noqa: PLC0415  (slow to load, and most commands draw nothing)

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": salt})
        yield


def new_figure() -> "Figure":
    """Give an empty figure whose letters can still be read at the width of a phone."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to load, and most commands draw nothing)

    return Figure(figsize=_SIZE_INCHES, layout="constrained")


def render_svg(figure: "Figure", *, label: str) -> str:
    """Write a figure as an `<svg>` element that scales with its place; the same figure gives the same text.

    Args:
        figure: drawn in a `drawing_style` that still holds.
        label: says what is to be seen to those who cannot see it.
    """
    written = StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", transparent=True, metadata=no_metadata)
    drawn = _without_page(written.getvalue())
    for stand_in, colour in _SHOWN.items():
        drawn = drawn.replace(stand_in, colour)
    return _labelled(_shortened(drawn), label)


def _without_page(svg: str) -> str:
    """Take out what belongs to a file of its own: prolog, fonts, and a style that would apply to the whole page."""
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", element, flags=re.DOTALL)
    return re.sub(r"font-family: [^;\"]*;? ?", "", element)


def _shortened(svg: str) -> str:
    """Keep a hundredth of a point, ids that something refers to, and groups that hold something."""
    svg = re.sub(
        r' (?:d|x|y|transform)="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0].replace("\n", " ")), svg
    )
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    return re.sub(r">\s+<", "><", re.sub(r"<g/>", "", svg))


def _labelled(svg: str, label: str) -> str:
    """Give the element its name, and the size of its place instead of one in points."""
    box = re.search(r'viewBox="[^"]+"', svg)
    inside = svg[svg.index(">") + 1 :]
    name = escape(printable(label))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0] if box else ""} '
        f'role="img" aria-label="{name}" style="stroke-linejoin: round"><title>{name}</title>{inside}'
    )
