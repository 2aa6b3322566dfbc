"""Charts as inline SVG: text stays text, and colours are CSS variables, so that they follow light and dark mode.

The `name` of a chart is the prefix of the ids inside its SVG, unique in the page, and is read aloud; with `percent` its values are shares.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from schemas.metrics import Estimate, Interval

# Placeholders that matplotlib can draw with; each becomes a CSS variable in the finished SVG.
_INK, _GRID, _REAL = "#010101", "#020202", "#030303"
_METHODS = tuple(f"#0400{index:02x}" for index in range(8))
EMOTION_COLOURS = tuple(f"#0500{index:02x}" for index in range(8))
_VARIABLES = {_INK: "var(--muted)", _GRID: "var(--line)", _REAL: "var(--real)"} | {
    colour: f"var(--method-{index})" for index, colour in enumerate(_METHODS)
}
_VARIABLES |= {colour: f"var(--emotion-{index})" for index, colour in enumerate(EMOTION_COLOURS)}
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "coemogen", "font.size": 9, "font.family": "sans-serif"}


@dataclass(frozen=True)
class Series:
    """The values of one method by row name, with intervals where there are any."""

    values: Mapping[str, float | None]
    intervals: Mapping[str, Interval]


def dot_chart(rows: Sequence[str], series: Sequence[Series], real: Mapping[str, float | None], *, name: str, percent: bool) -> str:
    """One line per row: a dot with its interval for every method, and a tick for the real images.

    Args:
        rows: row names, from top to bottom.
        series: one per method, in the order of the methods' colours.
        real: the value of real images by row; empty for none.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _framed(rows, left=0.25, percent=percent)
        step = 0.5 / max(len(series), 1)
        for position, row in enumerate(rows):
            for index, one in enumerate(series):
                offset = (index - (len(series) - 1) / 2) * step
                _dot(axes, position + offset, one.values.get(row), one.intervals.get(row), index)
            if (value := real.get(row)) is not None:
                axes.plot([value, value], [position - 0.36, position + 0.36], color=_REAL, linewidth=1.6, solid_capstyle="butt")
        return finish(figure, name)


def forest_chart(estimates: Mapping[str, Estimate], real: float | None, *, name: str, percent: bool) -> str:
    """One line per method: its value with its interval, in its colour; an upright line for the real images.

    Args:
        estimates: by what the method is called, in the order of the methods' colours.
        real: the value of the real images.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _framed([_shortened(row) for row in estimates], left=0.4, percent=percent)
        for index, estimate in enumerate(estimates.values()):
            known = estimate.low is not None and estimate.high is not None
            _dot(axes, index, estimate.value, Interval(low=estimate.low, high=estimate.high) if known else None, index)
        if real is not None:
            axes.axvline(real, color=_REAL, linewidth=1.6)
        return finish(figure, name)


def _shortened(text: str, limit: int = 20) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def line_chart(steps: Sequence[int], whole: Sequence[float], parts: Sequence[Sequence[float | None]], *, name: str) -> str:
    """Curves over training steps: a heavy one for the whole, and a fine one for each of its parts.

    Args:
        steps: where the values stand.
        whole: the values of the whole.
        parts: those of each part, in the order of the colours; None where there is none, which leaves no gap.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.75, 2.3))
        axes = figure.add_axes((0.13, 0.16, 0.84, 0.8))
        quiet(axes)
        axes.grid(axis="y", color=_GRID, linewidth=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("step", color=_INK, labelpad=2)
        for index, values in enumerate(parts):
            known = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
            if known:
                axes.plot(*zip(*known, strict=True), color=_METHODS[index % len(_METHODS)], linewidth=0.9)
        axes.plot(steps, whole, color=_REAL, linewidth=2, marker="o" if len(steps) == 1 else None)
        axes.set_ylim(bottom=0)
        return finish(figure, name)


def quiet(axes: Axes) -> None:
    """Nothing but what the data and their scale need."""
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_INK, pad=4)
    axes.spines[:].set_visible(False)
    axes.patch.set_visible(False)


def _framed(rows: Sequence[str], *, left: float, percent: bool) -> tuple[Figure, Axes]:
    """A figure with a line for every row; the names of the rows take the share `left` of its width."""
    height = 0.26 * len(rows) + 0.42
    figure = Figure(figsize=(3.75, height))
    axes = figure.add_axes((left, 0.34 / height, 0.96 - left, 1 - 0.38 / height))
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    quiet(axes)
    axes.grid(axis="x", color=_GRID, linewidth=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if percent:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_xlim(-0.02, 1.02)
    return figure, axes


def _dot(axes: Axes, position: float, value: float | None, interval: Interval | None, method: int) -> None:
    colour = _METHODS[method % len(_METHODS)]
    if value is not None and interval is not None:
        axes.plot([interval.low, interval.high], [position] * 2, color=colour, linewidth=2, solid_capstyle="round")
    if value is not None:
        axes.plot([value], [position], marker="o", markersize=5, color=colour, markeredgewidth=0)


def finish(figure: Figure, name: str) -> str:
    """The figure as an <svg> element: no prologue, no metadata, unique ids, CSS variables for colours."""
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"| version="1.1"', "", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)  # its rule would apply to the whole page
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)  # the font of the page
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{name.replace("-", " ")}">', svg, count=1
    )
