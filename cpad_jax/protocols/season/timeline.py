"""A season as a picture: a row for each episode, minutes along it, and where methods look."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cpad_jax.report import charts
from cpad_jax.report.page import text

FULL, HALF = 25, 50  # Clips up to these ranks are whole and half marks.
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 4, 34
_LANE, _BETWEEN = 8, 6
_STEPS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)  # Minutes.
_MOST_STEPS = 6


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of an episode.

    Attributes:
        episode: Its number.
        start: Seconds.
        end: Seconds.
    """

    episode: int
    start: float
    end: float


@dataclasses.dataclass(frozen=True)
class Mark:
    """A clip that a method found: where, at which rank (from 1), and whether it is right."""

    segment: Segment
    rank: int
    right: bool


@dataclasses.dataclass(frozen=True)
class Lane:
    """What one method found."""

    series: charts.Series
    marks: Sequence[Mark]

    def __str__(self) -> str:
        """For instance 'CLIP, text: 3 right among the first 25, 5 among the first 50'."""
        first, more = (
            sum(mark.right and mark.rank <= most for mark in self.marks) for most in (FULL, HALF)
        )
        return (
            f'{self.series.label}: {first} right among the first {FULL}, {more} among the first '
            f'{HALF}'
        )


def clock(seconds: float) -> str:
    """A moment of an episode, with hours where there are any: '3:07', '1:02:09'."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'


def timeline(
    title: str,
    episodes: Sequence[str],
    seconds: Sequence[float],
    answers: Sequence[Segment],
    lanes: Sequence[Lane],
) -> str:
    """The whole season.

    Args:
        title: What is shown, plain text.
        episodes: E names.
        seconds: E lengths.
        answers: The clips that answer the query: shaded.
        lanes: What each method found: within an episode one lane below the other. A right clip is
            a broad mark, a wrong one a thin one; they are whole up to rank `FULL`, else half.
    """
    longest = max(seconds)
    row = len(lanes) * _LANE + _BETWEEN
    bottom = _TOP + len(episodes) * row

    def x(second: float) -> float:
        return _LEFT + (charts.WIDTH - _LEFT - _RIGHT) * second / longest

    def y(episode: int, lane: int = 0) -> float:
        return _TOP + episode * row + lane * _LANE

    parts = []
    for number, (name, length) in enumerate(zip(episodes, seconds, strict=True)):
        parts.append(
            f'<text class="word" x="{_LEFT - 6}" y="{y(number) + row / 2:.1f}" text-anchor="end">'
            f'{text(_ending(name))}<title>{text(name)}, {clock(length)}</title></text>'
            f'<rect x="{_LEFT}" y="{y(number):.1f}" width="{x(length) - _LEFT:.1f}" '
            f'height="{row - _BETWEEN}" fill="var(--rule)" fill-opacity="0.45"/>'
        )
    for segment in answers:
        parts.append(
            f'<rect x="{x(segment.start):.1f}" y="{y(segment.episode) - 1:.1f}" '
            f'width="{max(x(segment.end) - x(segment.start), 1):.1f}" '
            f'height="{row - _BETWEEN + 2}" '
            'fill="var(--right)" fill-opacity="0.3" stroke="var(--right)" stroke-width="0.6">'
            f'<title>relevant: {_where(segment, episodes)}</title></rect>'
        )
    for place, lane in enumerate(lanes):
        for mark in sorted(lane.marks, key=lambda mark: (mark.right, -mark.rank)):
            height = _LANE - 1 if mark.rank <= FULL else _LANE / 2
            broad = 3.2 if mark.right else 1.2
            middle = x((mark.segment.start + mark.segment.end) / 2)
            parts.append(
                f'<rect x="{middle - broad / 2:.1f}" y="{y(mark.segment.episode, place):.1f}" '
                f'width="{broad}" height="{height}" fill="{lane.series.fill}"><title>'
                f'{text(lane.series.label)}, rank {mark.rank}, {"right" if mark.right else "wrong"}'
                f': {_where(mark.segment, episodes)}</title></rect>'
            )
    step = next((s for s in _STEPS if longest / 60 / s <= _MOST_STEPS), longest / 60)
    for number in range(int(longest / 60 / step) + 1):
        at = x(60 * step * number)
        parts.append(
            f'<line class="rule" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>'
            f'<text x="{at:.1f}" y="{bottom + 12}" text-anchor="middle">{step * number:g}</text>'
        )
    middle = (_LEFT + charts.WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 28}" text-anchor="middle">minutes</text>')
    said = '; '.join([f'{len(answers)} clips answer', *map(str, lanes)])
    return charts.figure(title, said, bottom + _BOTTOM, parts)


def _ending(name: str) -> str:
    """What fits beside a row: names of episodes begin alike, so their ends tell them apart."""
    return name if len(name) <= 7 else '…' + name[-6:]


def _where(segment: Segment, episodes: Sequence[str]) -> str:
    return text(f'{episodes[segment.episode]} {clock(segment.start)}–{clock(segment.end)}')
