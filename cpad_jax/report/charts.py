"""Three kinds of chart as SVG: curves and bars with their bounds, and trade-offs of two errors.

Shares are 0 to 1.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

from cpad_jax.report.page import text
from cpad_jax.report.style import HUES

WIDTH = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 14, 12, 38
_CURVE_HEIGHT = 250
_BAR, _BETWEEN, _WORDS = 11, 9, 128
_TRADE_OFF_HEIGHT = 340
# Grid lines of a trade-off; it is not drawn beyond the first and the last.
_ERRORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
_DASHES = ('', '6 3', '2 3')


@dataclasses.dataclass(frozen=True)
class Point:
    """A share with its 95 % bounds, NaN where they are not defined."""

    value: float
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        """Whether there are bounds."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        """For instance '41.2 % [39.0, 43.1]'."""
        words = f'{100 * self.value:.1f} %'
        if self.bounded:
            words += f' [{100 * self.low:.1f}, {100 * self.high:.1f}]'
        return words


@dataclasses.dataclass(frozen=True)
class Series:
    """A series: the same `number` has the same colour and dash in every chart."""

    label: str
    number: int

    @property
    def fill(self) -> str:
        """Its colour."""
        return f'var(--c{self.number % HUES})'


def stroke(number: int) -> str:
    """How the lines of a `Series` of that number are drawn: SVG attributes."""
    dash = _DASHES[number // HUES % len(_DASHES)]
    return f'stroke="var(--c{number % HUES})"' + (f' stroke-dasharray="{dash}"' if dash else '')


def legend(series: Sequence[Series]) -> str:
    """The legend of colours and dashes."""
    items = ''.join(
        f'<li><svg viewBox="0 0 30 12" aria-hidden="true"><line x1="1" x2="29" y1="6" y2="6" '
        f'stroke-width="4" {stroke(one.number)}/></svg>{text(one.label)}</li>'
        for one in series
    )
    return f'<ul class="legend">{items}</ul>'


def _top(values: Sequence[float]) -> float:
    """The end of an axis of shares: a multiple of a tenth (of a fiftieth where all are low)."""
    largest = max([value for value in values if math.isfinite(value)], default=0.0)
    step = 0.1 if largest > 0.1 else 0.02
    return min(1.0, max(step, math.ceil(largest / step - 1e-9) * step))


def curves(
    title: str, at: Sequence[int], lines: Sequence[tuple[Series, Sequence[Point]]], axis: str
) -> str:
    """Shares over a rising number, which is drawn on a logarithmic axis.

    Args:
        title: What the chart shows.
        at: The numbers, ascending, >= 1.
        lines: (whose, a point for each of the numbers).
        axis: What the numbers are.
    """
    top = _top([p.high if p.bounded else p.value for _, points in lines for p in points])
    span = math.log(at[-1]) or 1.0
    bottom = _CURVE_HEIGHT - _BOTTOM

    def x(number: int) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * math.log(number) / span

    def y(share: float) -> float:
        return bottom - (bottom - _TOP) * min(share, top) / top

    parts = []
    for tick in range(5):
        share = top * tick / 4
        parts.append(
            f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(share):.1f}" '
            f'y2="{y(share):.1f}"/><text x="{_LEFT - 6}" y="{y(share) + 4:.1f}" '
            f'text-anchor="end">{100 * share:.3g}</text>'
        )
    for number in at:
        parts.append(
            f'<text x="{x(number):.1f}" y="{bottom + 16}" text-anchor="middle">{number}</text>'
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_CURVE_HEIGHT - 5}" text-anchor="middle">{text(axis)}</text>'
    )
    for one, points in lines:
        known = [(x(k), p) for k, p in zip(at, points, strict=True) if p.bounded]
        if known:
            upper = [f'{place:.1f},{y(p.high):.1f}' for place, p in known]
            lower = [f'{place:.1f},{y(p.low):.1f}' for place, p in reversed(known)]
            parts.append(
                f'<polygon points="{" ".join(upper + lower)}" fill="{one.fill}" '
                'fill-opacity="0.14"/>'
            )
    for one, points in lines:
        marks = [(x(k), y(p.value), k, p) for k, p in zip(at, points, strict=True)]
        path = ' '.join(f'{left:.1f},{high:.1f}' for left, high, _, _ in marks)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke-width="2" {stroke(one.number)}/>'
        )
        parts += [
            f'<circle cx="{left:.1f}" cy="{high:.1f}" r="3" fill="{one.fill}">'
            f'<title>{text(one.label)}, {k}: {point}</title></circle>'
            for left, high, k, point in marks
        ]
    description = '; '.join(
        f'{one.label} from {points[0]} at {at[0]} to {points[-1]} at {at[-1]}'
        for one, points in lines
    )
    return figure(title, description, _CURVE_HEIGHT, parts)


def bars(
    title: str, series: Sequence[Series], groups: Sequence[tuple[str, int, Sequence[Point]]]
) -> str:
    """Lying bars, some for each group.

    Args:
        title: What the chart shows.
        series: Whose bars each group has.
        groups: (label, how many queries it is about, a point for each of the series).
    """
    top = _top([p.high if p.bounded else p.value for _, _, points in groups for p in points])
    left, right = _WORDS, WIDTH - 44

    def x(share: float) -> float:
        return left + (right - left) * min(share, top) / top

    parts, y = [], 4.0
    for label, count, points in groups:
        height = len(points) * (_BAR + 2)
        words = text(label, 20)
        parts.append(
            f'<text class="word" x="{left - 8}" y="{y + height / 2 + 4:.1f}" text-anchor="end">'
            f'{words}<title>{text(label)}, {count} queries</title></text>'
        )
        for one, point in zip(series, points, strict=True):
            parts.append(
                f'<rect x="{left}" y="{y:.1f}" width="{max(x(point.value) - left, 1):.1f}" '
                f'height="{_BAR}" rx="2" fill="{one.fill}">'
                f'<title>{text(label)}, {text(one.label)}, {count} queries: {point}</title></rect>'
            )
            end = point.value
            if point.bounded:
                end = max(end, point.high)
                parts.append(
                    f'<line x1="{x(point.low):.1f}" x2="{x(point.high):.1f}" y1="{y + _BAR / 2}" '
                    f'y2="{y + _BAR / 2}" stroke="var(--ink)" stroke-width="1.2"/>'
                )
            parts.append(
                f'<text x="{x(end) + 5:.1f}" y="{y + _BAR - 1:.1f}">{100 * point.value:.1f}</text>'
            )
            y += _BAR + 2
        y += _BETWEEN
    description = '; '.join(
        f'{label}: {", ".join(map(str, points))}' for label, _, points in groups
    )
    return figure(title, description, y, parts)


def trade_off(
    title: str, lines: Sequence[tuple[Series, Sequence[tuple[float, float]]]], axes: tuple[str, str]
) -> str:
    """Two kinds of error against each other, on the normal distribution's scale (a DET curve).

    Args:
        title: What the chart shows.
        lines: (whose, pairs of shares from one end of the curve to the other).
        axes: What lies along the bottom, and along the side.
    """
    deviate = statistics.NormalDist().inv_cdf
    first, last = deviate(_ERRORS[0]), deviate(_ERRORS[-1])
    bottom, right = _TRADE_OFF_HEIGHT - _BOTTOM, WIDTH - _RIGHT

    def along(share: float) -> float:
        return (deviate(min(max(share, _ERRORS[0]), _ERRORS[-1])) - first) / (last - first)

    def x(share: float) -> float:
        return _LEFT + (right - _LEFT) * along(share)

    def y(share: float) -> float:
        return bottom - (bottom - _TOP) * along(share)

    parts = []
    for share in _ERRORS:
        parts.append(
            f'<line class="rule" x1="{_LEFT}" x2="{right}" y1="{y(share):.1f}" '
            f'y2="{y(share):.1f}"/>'
            f'<line class="rule" x1="{x(share):.1f}" x2="{x(share):.1f}" y1="{_TOP}" '
            f'y2="{bottom}"/><text x="{_LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">'
            f'{100 * share:g}</text><text x="{x(share):.1f}" y="{bottom + 16}" '
            f'text-anchor="middle">{100 * share:g}</text>'
        )
    parts.append(
        f'<line class="rule" x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}"/>'
        f'<text x="{(_LEFT + right) / 2}" y="{_TRADE_OFF_HEIGHT - 5}" text-anchor="middle">'
        f'{text(axes[0])}, %</text><text x="{_LEFT + 6}" y="{_TOP + 12}">{text(axes[1])}, %</text>'
    )
    for one, points in lines:
        path = ' '.join(f'{x(across):.1f},{y(up):.1f}' for across, up in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke-width="2" {stroke(one.number)}>'
            f'<title>{text(one.label)}</title></polyline>'
        )
    description = '; '.join(one.label for one, _ in lines)
    return figure(title, description, _TRADE_OFF_HEIGHT, parts)


def figure(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    """A chart, `WIDTH` wide in its own units.

    Args:
        title: What it shows, plain text.
        description: The content of the chart in words, for screen readers.
        height: In its own units.
        parts: SVG elements.
    """
    return (
        f'<figure><figcaption>{text(title, 200)}</figcaption><svg viewBox="0 0 {WIDTH} '
        f'{height:.0f}" role="img" aria-label="{text(f"{title}: {description}", 4000)}">'
        f'{"".join(parts)}</svg></figure>'
    )
